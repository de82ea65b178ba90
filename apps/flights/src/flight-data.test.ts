import { expect, it } from 'vitest';
import { FlightData, readAirports } from './flight-data.ts';

it('gives the flights in the order in which they landed, more than half of them out of the order of departure', async () => {
  const flights = await FlightData.read('20k');
  expect(flights.length).toBe(20_000);
  let latestDepartureMs = 0;
  let latestLandingMs = 0;
  let outOfOrder = 0;
  let mostLateMinutes = 0;
  for (let i = 0; i < flights.length; i++) {
    const { departureMs, delay } = flights.at(i);
    const landingMs = departureMs + delay * 60_000;
    expect(landingMs).toBeGreaterThanOrEqual(latestLandingMs);
    latestLandingMs = landingMs;
    if (departureMs < latestDepartureMs) {
      outOfOrder++;
      mostLateMinutes = Math.max(mostLateMinutes, (latestDepartureMs - departureMs) / 60_000);
    }
    latestDepartureMs = Math.max(latestDepartureMs, departureMs);
  }
  expect({ outOfOrder, mostLateMinutes }).toEqual({ outOfOrder: 11_405, mostLateMinutes: 491 });
});

it('knows every airport that a flight starts from', async () => {
  const airports = new Map((await readAirports()).map((airport) => [airport.iata, airport]));
  expect(airports.size).toBe(3376);
  expect(airports.get('ORD')).toEqual({
    iata: 'ORD',
    name: "Chicago O'Hare International",
    city: 'Chicago',
    state: 'IL',
  });
  const flights = await FlightData.read('20k');
  for (let i = 0; i < flights.length; i++) expect(airports.has(flights.at(i).origin)).toBe(true);
});
