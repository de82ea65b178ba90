/** For the programs that test the sample: the pipeline, its topics, its result, and the same by plain code. */
export { FlightData, readAirports, type Airport, type Flight, type Rows } from './flight-data.ts';
export { createTopics, feedAirports, feedFlights } from './feed.ts';
export { topology } from './pipeline.ts';
export { recompute } from './recompute.ts';
export { processedCount, readResult } from './result.ts';
export { airportDelays, flights, lateFlights, type AirportDay, type NamedFlight } from './topics.ts';
