/** `@millrace/streams/testing`: a plan without a broker, on virtual time. */
export { SimulatedCrashError, type CommitStep } from './commit-step.ts';
export { DriverDownError, TestDriver, type TestDriverOptions } from './test-driver.ts';
