/** A pipeline with its state in Redis: counts of each user's clicks, in all and by second. */
import { json, string, topic, type Topic } from '@millrace/serde';
import { StreamsBuilder, tumbling, type Topology } from '@millrace/streams';

export interface Click {
  readonly n: number;
}

const config = { 'segment.bytes': 1 << 20, 'retention.ms': -1 };

/** Keyed by user. Its time grows by a millisecond a click. */
export const clicks: Topic<string, Click, 'chaos-clicks'> = topic('chaos-clicks', {
  key: string,
  value: json<Click>(),
  numPartitions: 3,
  config,
});

/** A user's count after each click: 1, 2, 3… */
export const totals: Topic<string, number, 'chaos-totals'> = topic('chaos-totals', {
  key: string,
  value: json<number>(),
  numPartitions: 3,
  config,
});

/** Keyed by user and second (`u7@1700000000000`): the count of a second that is over. */
export const seconds: Topic<string, number, 'chaos-seconds'> = topic('chaos-seconds', {
  key: string,
  value: json<number>(),
  numPartitions: 3,
  config,
});

export const windowMs = 1000;
export const totalsStore = 'totals';

const builder = new StreamsBuilder('chaos-clicks-app');
const grouped = builder.stream(clicks).groupByKey();
grouped.count({ name: totalsStore, emit: 'update' }).to(totals);
grouped
  .windowedBy(tumbling({ sizeMs: windowMs, graceMs: 0 }))
  .count({ name: 'per-second', value: json<number>() })
  .final()
  .map((count, { key, window }) => ({ key: `${key}@${window.startMs}`, value: count }), { name: 'closed', key: string })
  .to(seconds);

export const clicksTopology: Topology = builder.build();
