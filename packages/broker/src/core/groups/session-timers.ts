import type { Clock } from '@millrace/platform';
import type { Group } from './group.ts';

interface Session {
  /** On the monotonic clock. */
  expiresAtMs: number;
  cancel: () => void;
  firesAtMs: number;
}

/**
 * When members are given up. A heartbeat only moves a number: the timer looks at it when it fires, and sets itself again. So a
 * thousand heartbeats cost no timer.
 */
export class SessionTimers {
  readonly #clock: Clock;
  readonly #expired: (group: Group, memberId: string) => void;
  readonly #sessions = new Map<Group, Map<string, Session>>();

  constructor(clock: Clock, expired: (group: Group, memberId: string) => void) {
    this.#clock = clock;
    this.#expired = expired;
  }

  /** From now on `timeoutMs`, whatever was said before. */
  extend(group: Group, memberId: string, timeoutMs: number): void {
    const expiresAtMs = this.#clock.monotonic() + timeoutMs;
    let sessions = this.#sessions.get(group);
    if (sessions === undefined) this.#sessions.set(group, (sessions = new Map()));
    const session = sessions.get(memberId);
    if (session === undefined) {
      const created: Session = { expiresAtMs, cancel: () => {}, firesAtMs: 0 };
      sessions.set(memberId, created);
      this.#arm(group, memberId, created);
      return;
    }
    session.expiresAtMs = expiresAtMs;
    if (session.firesAtMs <= expiresAtMs) return;
    session.cancel();
    this.#arm(group, memberId, session);
  }

  drop(group: Group, memberId: string): void {
    const sessions = this.#sessions.get(group);
    sessions?.get(memberId)?.cancel();
    sessions?.delete(memberId);
    if (sessions?.size === 0) this.#sessions.delete(group);
  }

  dropAll(group: Group): void {
    for (const session of this.#sessions.get(group)?.values() ?? []) session.cancel();
    this.#sessions.delete(group);
  }

  #arm(group: Group, memberId: string, session: Session): void {
    session.firesAtMs = session.expiresAtMs;
    session.cancel = this.#clock.after(session.expiresAtMs - this.#clock.monotonic(), () => {
      if (this.#clock.monotonic() < session.expiresAtMs) return this.#arm(group, memberId, session);
      this.drop(group, memberId);
      this.#expired(group, memberId);
    });
  }
}
