import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Broker } from './broker.ts';
import type { BrokerOptions } from './broker-options.ts';
import { settingsOf } from './settings.ts';

const listening = (listen: BrokerOptions['listen']): unknown => settingsOf({ data: 'memory', listen }).endpoints;

describe('the options of a broker', () => {
  it('have their defaults', () => {
    expect(settingsOf({ data: '/data', listen: { port: 0 } })).toEqual({
      directory: '/data',
      endpoints: [{ port: 0, host: '127.0.0.1', advertised: { host: '127.0.0.1', port: undefined }, tls: undefined }],
      flush: 'commit',
      tailCacheMaxBytes: 64 * 1024 * 1024,
    });
    expect(settingsOf({ data: 'memory', flush: 'commit' })).toMatchObject({ directory: undefined, flush: 'os' });
  });

  it('name a directory once and for all: where the process goes later does not matter', () => {
    expect(settingsOf({ data: 'here/data' }).directory).toBe(resolve('here/data'));
    expect(settingsOf({ data: '/data' }).directory).toBe('/data');
  });

  it.each<[string, unknown, unknown]>([
    ['data', '', { data: '' }],
    ['data', undefined, {}],
    ['flush', 'always', { flush: 'always' }],
    ['flush', 'interval:0', { flush: 'interval:0' }],
    ['flush', 'interval:2147483648', { flush: 'interval:2147483648' }],
    ['flush', 'interval:1.5', { flush: 'interval:1.5' }],
    ['tailCacheMaxBytes', -1, { tailCacheMaxBytes: -1 }],
    ['tailCacheMaxBytes', NaN, { tailCacheMaxBytes: NaN }],
    ['listen.port', 65_536, { listen: { port: 65_536 } }],
    ['listen.port', -1, { listen: { port: -1 } }],
    ['listen.port', 1.5, { listen: [{ port: 0 }, { port: 1.5 }] }],
  ])('are refused where %s is %j, before anything is touched', async (name, value, options) => {
    const complete = { data: 'memory', ...(options as object) } as BrokerOptions;
    const given = name === 'data' ? (options as BrokerOptions) : complete;
    await expect(Broker.open(given)).rejects.toMatchObject({ code: 'INVALID_CONFIG', context: { name, value } });
  });

  it.each(['interval:1', 'interval:2147483647', 'os'] as const)('take flush %s', (flush) => {
    expect(settingsOf({ data: '/data', flush }).flush).toBe(flush);
  });

  it.each([
    ['broker.example', 'broker.example', undefined],
    ['broker.example:1', 'broker.example', 1],
    ['10.0.0.1:65535', '10.0.0.1', 65_535],
    ['[::1]', '::1', undefined],
    ['[fe80::1]:9093', 'fe80::1', 9093],
  ])('advertise %s', (advertised, host, port) => {
    expect(listening({ port: 0, host: '0.0.0.0', advertised })).toMatchObject([{ advertised: { host, port } }]);
  });

  it.each([
    '',
    'a:0',
    'a:65536',
    'a:b',
    'a:1:2',
    '::1',
    'PLAINTEXT://a:1',
    'a b',
    'a/b',
    ':9092',
    '[]:1',
    '0.0.0.0:9092',
    '[::]:1',
  ])('are refused where they advertise %j, which nobody can connect to', (advertised) => {
    expect(() => listening({ port: 0, advertised })).toThrow(
      expect.objectContaining({
        code: 'INVALID_CONFIG',
        context: expect.objectContaining({ name: 'listen.advertised' }),
      }),
    );
  });

  it.each(['', '0.0.0.0', '::', '0', '::0', '0:0:0:0:0:0:0:0'])(
    'need an address to advertise for the host %j, which is all of them',
    (host) => {
      expect(() => listening({ port: 0, host })).toThrow(/listen\.advertised.*the host ".*" stands for all/);
      expect(listening({ port: 0, host, advertised: 'here' })).toMatchObject([{ host, advertised: { host: 'here' } }]);
    },
  );
});
