import { describe, expect, it } from 'vitest';
import { createInProcessPair, type InProcessChannel } from './index.ts';

/** Turns, run by hand: `turn` runs what was deferred before it, not what that defers. */
function turns(): { readonly defer: (task: () => void) => void; readonly turn: () => void; readonly run: () => void } {
  let tasks: (() => void)[] = [];
  const turn = (): void => {
    const due = tasks;
    tasks = [];
    for (const task of due) task();
  };
  return {
    defer: (task) => void tasks.push(task),
    turn,
    run() {
      while (tasks.length > 0) turn();
    },
  };
}

function recorded(channel: InProcessChannel): string[] {
  const events: string[] = [];
  channel.onFrame((frame) => events.push(Buffer.from(frame).toString()));
  channel.onClose((reason) => events.push(`closed${reason === undefined ? '' : `: ${reason.message}`}`));
  return events;
}

const frame = (text: string): Uint8Array => Buffer.from(text);

describe('createInProcessPair', () => {
  it('delivers frames in order, in a later turn, both ways', () => {
    const { defer, turn } = turns();
    const [a, b] = createInProcessPair(defer);
    const [atA, atB] = [recorded(a), recorded(b)];
    a.send(frame('1'));
    a.send(frame('2'));
    b.send(frame('3'));
    expect([atA, atB]).toEqual([[], []]);
    turn();
    expect([atA, atB]).toEqual([['3'], ['1', '2']]);
  });

  it('delivers what a listener sends in the turn after', () => {
    const { defer, turn } = turns();
    const [a, b] = createInProcessPair(defer);
    const atA = recorded(a);
    b.onFrame((request) => b.send(request));
    a.send(frame('ping'));
    turn();
    expect(atA).toEqual([]);
    turn();
    expect(atA).toEqual(['ping']);
  });

  it('hands over the very bytes, without a copy', () => {
    const { defer, run } = turns();
    const [a, b] = createInProcessPair(defer);
    const received: Uint8Array[] = [];
    b.onFrame((bytes) => received.push(bytes));
    const sent = frame('x');
    a.send(sent);
    run();
    expect(received[0]).toBe(sent);
  });

  it('delivers what was sent before a close, then tells both ends once', () => {
    const { defer, run } = turns();
    const [a, b] = createInProcessPair(defer);
    const [atA, atB] = [recorded(a), recorded(b)];
    a.send(frame('last'));
    a.close();
    a.close();
    b.close();
    run();
    expect([atA, atB]).toEqual([['closed'], ['closed']]);

    const second = createInProcessPair(defer);
    const at = [recorded(second[0]), recorded(second[1])];
    second[0].send(frame('last'));
    second[0].close();
    run();
    expect(at).toEqual([['closed'], ['last', 'closed']]);
  });

  it('drops what is on the way to an end that closes, and what is sent after', () => {
    const { defer, run } = turns();
    const [a, b] = createInProcessPair(defer);
    const [atA, atB] = [recorded(a), recorded(b)];
    b.send(frame('too late for a'));
    a.close();
    a.send(frame('after close'));
    b.send(frame('to a closed peer'));
    run();
    expect([atA, atB]).toEqual([['closed'], ['closed']]);
  });

  it('delivers nothing more to a listener that closed its end', () => {
    const { defer, run } = turns();
    const [a, b] = createInProcessPair(defer);
    const atB: string[] = [];
    b.onFrame((bytes) => {
      atB.push(Buffer.from(bytes).toString());
      b.close();
    });
    a.send(frame('1'));
    a.send(frame('2'));
    run();
    expect(atB).toEqual(['1']);
  });

  it('loses no frames to a listener that throws', () => {
    const { defer, run } = turns();
    const [a, b] = createInProcessPair(defer);
    const atB: string[] = [];
    b.onFrame((bytes) => {
      const text = Buffer.from(bytes).toString();
      if (text === 'bad') throw new Error('refused');
      atB.push(text);
    });
    for (const text of ['1', 'bad', '2', '3']) a.send(frame(text));
    expect(run).toThrow('refused');
    run();
    expect(atB).toEqual(['1', '2', '3']);
  });

  it('keeps frames for a listener that is set late', () => {
    const { defer, run } = turns();
    const [a, b] = createInProcessPair(defer);
    a.send(frame('early'));
    run();
    const atB = recorded(b);
    run();
    expect(atB).toEqual(['early']);
  });
});
