import type { Clock, FileSystem } from '@millrace/platform';

/** Files renamed out of the way, and removed after a while: a slow reader may still be at them. */
export class DoomedFiles {
  readonly #files: FileSystem;
  readonly #clock: Clock;
  /** What cancels each removal. */
  readonly #pending: Map<string, () => void> = new Map();

  readonly #onFailure: (error: unknown) => void;

  constructor(files: FileSystem, clock: Clock, onFailure: (error: unknown) => void) {
    this.#files = files;
    this.#clock = clock;
    this.#onFailure = onFailure;
  }

  removeLater(paths: readonly string[], delayMs: number): void {
    for (const path of paths) {
      this.#pending.get(path)?.(); // an older file of this name has just been replaced
      const cancel = this.#clock.after(delayMs, () => {
        this.#pending.delete(path);
        try {
          this.#files.remove(path);
        } catch (error) {
          this.#onFailure(error);
        }
      });
      this.#pending.set(path, cancel);
    }
  }

  /** When the disk has failed: what is left goes at the next start. */
  giveUp(): void {
    for (const cancel of this.#pending.values()) cancel();
    this.#pending.clear();
  }

  /** For closing: the rest at once. */
  removeNow(): void {
    const paths = [...this.#pending.keys()];
    this.giveUp();
    for (const path of paths) this.#files.remove(path);
  }
}
