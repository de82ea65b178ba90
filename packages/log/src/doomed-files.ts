import type { Clock, FileSystem } from '@millrace/platform';

/** Files renamed out of the way, and removed after a while: a slow reader may still be at them. */
export class DoomedFiles {
  readonly #files: FileSystem;
  readonly #clock: Clock;
  /** What cancels each removal. */
  readonly #pending: Map<string, () => void> = new Map();

  constructor(files: FileSystem, clock: Clock) {
    this.#files = files;
    this.#clock = clock;
  }

  removeLater(paths: readonly string[], delayMs: number): void {
    for (const path of paths) {
      this.#pending.get(path)?.(); // an older file of this name has just been replaced
      const cancel = this.#clock.after(delayMs, () => {
        this.#pending.delete(path);
        this.#files.remove(path);
      });
      this.#pending.set(path, cancel);
    }
  }

  /** For closing: the rest at once. */
  removeNow(): void {
    for (const [path, cancel] of this.#pending) {
      cancel();
      this.#files.remove(path);
    }
    this.#pending.clear();
  }
}
