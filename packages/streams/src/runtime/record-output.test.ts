import { describe, expect, it } from 'vitest';
import { partitionOf, type BytesProducer } from '@millrace/client/bytes';
import { MillraceError } from '@millrace/platform';
import { RecordOutput } from './record-output.ts';

class AnswerError extends MillraceError {
  readonly code: string;
  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/** An output over a cluster that has the topic `there`, and answers `code` for all others. */
function output(code: string) {
  const sent: string[] = [];
  const producer = {
    partitionCount: async (topic: string) => {
      if (topic !== 'there') throw new AnswerError(code);
      return 1;
    },
    append: (topic: string, _partition: number, timestampMs: number) => {
      sent.push(`${topic} ${timestampMs}`);
      return true;
    },
  } as unknown as BytesProducer;
  return { sent, output: new RecordOutput(producer, new Map()) };
}

describe('RecordOutput', () => {
  it.each(['UNKNOWN_TOPIC_OR_PARTITION', 'INVALID_TOPIC_EXCEPTION', 'TOPIC_AUTHORIZATION_FAILED'])(
    'gives records back whose topic cannot be written (%s), and sends the others',
    async (code) => {
      const { sent, output: to } = output(code);
      const refused: string[] = [];
      const send = (topic: string, timestampMs: number): void =>
        to.send(topic, -1, timestampMs, null, null, [], () => (error) => {
          refused.push(`${timestampMs} ${(error as AnswerError).code}`);
        });
      send('nowhere', 1);
      send('there', 2);
      send('nowhere', 3);
      await to.settled();
      expect(sent).toEqual(['there 2']);
      expect(refused).toEqual([`1 ${code}`, `3 ${code}`]);
      expect(to.takeRecordCount()).toBe(1);

      send('nowhere', 4); // it may have been made since
      await to.settled();
      expect(refused).toHaveLength(3);
    },
  );

  it('writes to partitions that a topic is given while it runs, from the next commit on', async () => {
    const counts = new Map([
      ['grows', 2],
      ['goes', 2],
    ]);
    const sent: string[] = [];
    const asked: string[] = [];
    const producer = {
      partitionCount: async (topic: string) => {
        asked.push(topic);
        if (!counts.has(topic)) throw new AnswerError('UNKNOWN_TOPIC_OR_PARTITION');
        return counts.get(topic)!;
      },
      append: (topic: string, partition: number) => {
        sent.push(`${topic} ${partition}`);
        return true;
      },
    } as unknown as BytesProducer;
    const to = new RecordOutput(producer, new Map([...counts, ['not written', 9]]));
    const commit = async (): Promise<string[]> => {
      for (const topic of ['grows', 'goes']) to.send(topic, -1, 0, Buffer.from('key-3'), null, []);
      to.takeRecordCount();
      await new Promise((resolve) => setImmediate(resolve));
      return sent.splice(0);
    };
    expect(await commit()).toEqual(['grows 1', 'goes 1']);
    counts.set('grows', 16);
    counts.set('goes', 0); // it is being made anew
    expect(await commit()).toEqual(['grows 1', 'goes 1']);
    counts.delete('goes');
    expect(await commit()).toEqual(['grows 11', 'goes 1']);
    expect(await commit()).toEqual(['grows 11', 'goes 1']);
    expect([to.partitionCount('grows'), to.partitionCount('goes')]).toEqual([16, 2]);
    expect(new Set(asked)).toEqual(new Set(['grows', 'goes']));
  });

  it('waits for the topic of what a refusal sends', async () => {
    const { sent, output: to } = output('INVALID_TOPIC_EXCEPTION');
    to.send('nowhere', -1, 1, null, null, [], () => () => to.send('there', -1, 2, null, null, []));
    await to.settled();
    expect(sent).toEqual(['there 2']);
  });

  it('fails with what a refusal throws, and where nobody takes the record back', async () => {
    const policy = new Error('the policy is to stop');
    const first = output('INVALID_TOPIC_EXCEPTION').output;
    first.send('nowhere', -1, 1, null, null, [], () => () => {
      throw policy;
    });
    await expect(first.settled()).rejects.toBe(policy);
    const second = output('INVALID_TOPIC_EXCEPTION').output;
    second.send('nowhere', -1, 1, null, null, []);
    await expect(second.settled()).rejects.toMatchObject({ code: 'INVALID_TOPIC_EXCEPTION' });
  });

  it('fails when the cluster cannot be asked: that is no fault of the record', async () => {
    const { output: to } = output('NETWORK_EXCEPTION');
    to.send('nowhere', -1, 1, null, null, [], () => () => expect.fail('it may be there'));
    await expect(to.settled()).rejects.toMatchObject({ code: 'NETWORK_EXCEPTION' });
  });

  it('chooses the partition by the bytes that are named for it, also where the topic has to be asked for first', async () => {
    const sent: string[] = [];
    const producer = {
      partitionCount: async () => 8,
      append: (topic: string, partition: number) => sent.push(`${topic} ${partition}`) > 0,
    } as unknown as BytesProducer;
    const to = new RecordOutput(producer, new Map([['known', 8]]));
    const key = Buffer.from('ada and a time');
    for (const topic of ['known', 'asked']) {
      to.send(topic, -1, 0, key, null, [], undefined, key.subarray(0, 3));
      to.send(topic, -1, 0, Buffer.from('ada'), null, []);
      to.send(topic, -1, 0, key, null, []);
      await to.settled();
    }
    const [own, whole] = [partitionOf(Buffer.from('ada'), 8), partitionOf(key, 8)];
    expect(own).not.toBe(whole);
    expect(sent).toEqual(['known', 'asked'].flatMap((topic) => [own, own, whole].map((each) => `${topic} ${each}`)));
  });
});
