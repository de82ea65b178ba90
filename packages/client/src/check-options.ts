import { InvalidOptionError } from './errors.ts';

/** A limit of 0 would be waited at for ever, a time of 0 end every wait at once; NaN does both. @throws `INVALID_CONFIG` */
export function checkPositive<O extends object>(options: O, names: readonly (keyof O & string)[]): void {
  for (const name of names) {
    const value = options[name];
    if (value !== undefined && !((value as number) > 0)) {
      throw new InvalidOptionError(name, value, 'it must be above 0.');
    }
  }
}
