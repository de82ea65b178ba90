import type { Clock } from '@millrace/platform';
import type { SchedulerLike } from 'rxjs';

/** An RxJS scheduler as a clock: so one virtual scheduler drives Observables under test and a pipeline's timers alike. */
export function schedulerClock(scheduler: SchedulerLike, base: Clock): Clock {
  return {
    now: () => scheduler.now(),
    monotonic: () => scheduler.now(),
    after(delayMs, task) {
      const subscription = scheduler.schedule(task, delayMs);
      return () => subscription.unsubscribe();
    },
    defer: (task) => base.defer(task),
  };
}
