/** `@millrace/eventsourcing/testing`: given, when, then. A mismatch throws an `AssertionError` that shows both sides. */
export { given, givenProcess, type Decided, type Given, type GivenProcess, type Reacted } from './given.ts';
