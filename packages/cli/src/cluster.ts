import { readFileSync } from 'node:fs';
import type { Cluster } from '@millrace/client';
import { UsageError } from './errors.ts';

/** The options of every command that talks to a broker. */
export interface ClusterFlags {
  /** `host:port`. */
  readonly broker: string;
  readonly tls?: boolean;
  /** A file; it implies `tls`. */
  readonly ca?: string;
}

/** @throws `USAGE`: the file of certificates cannot be read */
export function clusterOf({ broker, tls, ca }: ClusterFlags): Cluster {
  if (ca === undefined) return tls ? { bootstrapServers: broker, tls } : broker;
  return { bootstrapServers: broker, tls: { ca: readPem(ca, '--ca') } };
}

/** @throws `USAGE` */
export function readPem(path: string, option: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new UsageError(`Cannot read ${option} ${path}: ${(error as Error).message}`, { cause: error });
  }
}
