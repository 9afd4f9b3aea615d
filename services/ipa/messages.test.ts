import { describe, expect, it } from 'vitest';
import {
  AgentCallError,
  createAgentClient,
  ProtocolError,
  readCommandList,
  readCommandRequest,
  readCommandResult,
  readHandOver,
  readHeartbeat,
  readImageInfo,
  readInspectionCallback,
  readLookupAnswer,
  readLookupQuery,
  readProgress,
  readStepOffers,
  readStepRequest,
} from './index.ts';

const UUID = 'd2c107e6-5abf-42bd-a3a4-5d891e6bf6df';
const SHA = 'a'.repeat(64);
const CHUNKS = { index_url: 'http://a/index', index_sha256: SHA, objects: { one: 'https://a/one?x=1' } };

describe('messages that are right', () => {
  it('lookup by addresses in any writing, or by UUID', () => {
    expect(readLookupQuery({ addresses: '52-54-00-DD-00-04,nonsense, 52:54:00:dd:00:05' })).toEqual({
      addresses: ['52:54:00:dd:00:04', '52:54:00:dd:00:05'],
    });
    expect(readLookupQuery({ node_uuid: UUID.toUpperCase() })).toEqual({ addresses: [], nodeUuid: UUID });
  });

  it('heartbeat with our additions', () => {
    const beat = {
      callback_url: 'https://[fd00::1]:9999',
      agent_token: 't',
      clock_skew_s: -86_400,
      progress: { step: 'write_image', done: 1, total: 2 },
    };
    expect(readHeartbeat({ ...beat, agent_verify_ca: null, unknown: 1 })).toEqual(beat);
  });

  it('inspection, with every plugin field kept', () => {
    const inventory = {
      interfaces: [{ mac_address: '52:54:00:DD:00:04' }, { mac_address: null }],
      bmc_address: '192.0.2.9',
      bmc_v6address: '::/0',
    };
    expect(readInspectionCallback({ inventory, lldp_raw: {}, logs: 'x' })).toEqual({
      inventory,
      addresses: ['52:54:00:dd:00:04'],
      bmcAddresses: ['192.0.2.9'],
      pluginData: { lldp_raw: {}, logs: 'x' },
    });
  });

  it('commands with fence and request in query or params', () => {
    const wanted = { name: 'standby.sync', params: { a: 1 }, fence: 7, request: 'op' };
    expect(
      readCommandRequest({ name: 'standby.sync', params: { a: 1, undercloud_fence: 7, undercloud_request: 'op' } }),
    ).toEqual(wanted);
    expect(readCommandRequest({ name: 'standby.sync', params: { a: 1 } }, { fence: '7', request: 'op' })).toEqual(
      wanted,
    );
    expect(readCommandRequest({ name: 'standby.sync' })).toEqual({ name: 'standby.sync', params: {} });
  });

  it('command errors as objects, strings or nothing', () => {
    const result = { id: '1', command_name: 'sync', command_status: 'FAILED', command_result: null };
    expect(readCommandResult({ ...result, command_error: 'broken' }).command_error).toEqual({
      type: 'Error',
      code: 500,
      message: 'broken',
      details: 'broken',
    });
    expect(
      readCommandResult({ ...result, command_error: { type: 'X', code: 404, message: 'm' } }).command_error,
    ).toEqual({ type: 'X', code: 404, message: 'm', details: 'm' });
    expect(readCommandResult({ ...result, command_error: {} }).command_error).toMatchObject({
      message: 'The agent gave no reason.',
    });
  });

  it('images: chunks alone, hashes by name or by length', () => {
    expect(readImageInfo({ id: 'i', chunks: CHUNKS })).toEqual({
      id: 'i',
      urls: [],
      disk_format: 'raw',
      chunks: { ...CHUNKS, compare: 'auto' },
    });
    const hashed = (more: object) => readImageInfo({ id: 'i', urls: ['http://a/b'], ...more }).hash;
    expect(hashed({ checksum: 'A'.repeat(64) })).toEqual({ algorithm: 'sha256', value: SHA });
    expect(hashed({ checksum: 'a'.repeat(32), os_hash_algo: 'SHA512', os_hash_value: 'b'.repeat(128) })).toEqual({
      algorithm: 'sha512',
      value: 'b'.repeat(128),
    });
    expect(hashed({ checksum: null })).toBeUndefined();
  });

  it('hand-over by URL, by path, by path on a partition', () => {
    const kexec = { kernel: '/vmlinuz', initrd: { path: '/initrd', partition: 2 }, cmdline: 'ro' };
    expect(readHandOver(kexec)).toEqual({ ...kexec, kernel: { path: '/vmlinuz' } });
    expect(readHandOver({ kernel: { url: 'http://a/k', sha256: SHA }, cmdline: 'ro' })).toEqual({
      kernel: { url: 'http://a/k', sha256: SHA },
      cmdline: 'ro',
    });
  });
});

describe('messages that are refused, each with a sentence', () => {
  const cases: [string, () => unknown, RegExp][] = [
    ['a lookup of nothing', () => readLookupQuery({}), /has neither/],
    ['a lookup of nonsense', () => readLookupQuery({ addresses: 'zz,yy' }), /has neither/],
    ['a lookup of a list', () => readLookupQuery({ addresses: ['a'] }), /addresses must be a string/],
    ['a UUID that is none', () => readLookupQuery({ node_uuid: '../x' }), /node_uuid must be a UUID, not "..\/x"/],
    ['an answer without node', () => readLookupAnswer({ config: {} }), /node must be an object, not undefined/],
    [
      'an answer without a time-out',
      () => readLookupAnswer({ node: { uuid: UUID }, config: {} }),
      /heartbeat_timeout must be a whole number/,
    ],
    ['a heartbeat that is a list', () => readHeartbeat([]), /must be an object, not \[\]/],
    [
      'a callback to a file',
      () => readHeartbeat({ callback_url: 'file:///etc/passwd' }),
      /callback_url must be an http or https URL/,
    ],
    [
      'a certificate that is none',
      () => readHeartbeat({ callback_url: 'http://a', agent_verify_ca: 'x' }),
      /certificate in PEM form/,
    ],
    [
      'more done than there is',
      () => readProgress({ step: 's', done: 3, total: 2 }),
      /progress.done must be a whole number from 0 to 2, not 3/,
    ],
    [
      'an inspection without interfaces',
      () => readInspectionCallback({ inventory: {} }),
      /inventory.interfaces must be a list/,
    ],
    [
      'an inspection with a bad MAC',
      () => readInspectionCallback({ inventory: { interfaces: [{ mac_address: 'x' }] } }),
      /interfaces\[0\].mac_address must be a MAC/,
    ],
    ['a command without extension', () => readCommandRequest({ name: 'sync' }), /extension.command/],
    [
      'a command name of 200 letters',
      () => readCommandRequest({ name: 'a'.repeat(200) }),
      /200 characters, more than 128/,
    ],
    ['a fence of letters', () => readCommandRequest({ name: 'a.b' }, { fence: 'x' }), /fence must be a whole number/],
    [
      'a negative fence',
      () => readCommandRequest({ name: 'a.b', params: { undercloud_fence: -1 } }),
      /fence must be a whole number/,
    ],
    ['params that are a list', () => readCommandRequest({ name: 'a.b', params: [] }), /params must be an object/],
    [
      'an unknown status',
      () => readCommandResult({ id: '1', command_name: 'a', command_status: 'SLEEPING' }),
      /"SLEEPING", which this undercloud does not know/,
    ],
    ['a list that is none', () => readCommandList({ commands: 5 }), /commands must be a list, not 5/],
    [
      'steps that are none',
      () => readStepOffers('clean', { clean_steps: { M: [{ step: 'x' }] } }),
      /clean_steps.M\[0\].interface must be a string/,
    ],
    ['a step without name', () => readStepRequest({ interface: 'deploy' }), /step.step must be a string/],
    ['an image of nothing', () => readImageInfo({ id: 'i' }), /neither urls nor chunks/],
    [
      'an unknown algorithm',
      () => readImageInfo({ id: 'i', urls: ['http://a'], os_hash_algo: 'crc32', os_hash_value: 'x' }),
      /os_hash_algo is "crc32"/,
    ],
    [
      'a checksum of odd length',
      () => readImageInfo({ id: 'i', urls: ['http://a'], checksum: 'abc' }),
      /no checksum that this agent knows/,
    ],
    [
      'an index checksum of odd length',
      () => readImageInfo({ id: 'i', chunks: { ...CHUNKS, index_sha256: 'x' } }),
      /index_sha256 must be 64 hexadecimal digits/,
    ],
    [
      'an object URL that is none',
      () => readImageInfo({ id: 'i', chunks: { ...CHUNKS, objects: { one: 'x' } } }),
      /objects\["one"\] must be an http/,
    ],
    [
      'another way to compare',
      () => readImageInfo({ id: 'i', chunks: { ...CHUNKS, compare: 'maybe' } }),
      /compare must be auto, always or never/,
    ],
    [
      'a kernel by way of ..',
      () => readHandOver({ kernel: '/boot/../etc/shadow', cmdline: 'x' }),
      /absolute path without "\.\."/,
    ],
    [
      'a kernel without checksum',
      () => readHandOver({ kernel: { url: 'http://a' }, cmdline: 'x' }),
      /kexec.kernel.sha256/,
    ],
    ['a command line of two lines', () => readHandOver({ kernel: '/k', cmdline: 'a\nb' }), /one line/],
    ['a command line of 3 kB', () => readHandOver({ kernel: '/k', cmdline: 'a'.repeat(3000) }), /more than 2047/],
  ];
  it.each(cases)('%s', (_name, read, sentence) => {
    expect(read).toThrow(ProtocolError);
    expect(read).toThrow(sentence);
  });
});

describe('the client', () => {
  const client = (status: number, body: string) =>
    createAgentClient({
      callbackUrl: 'https://192.0.2.7:9999/',
      agentToken: 'secret',
      transport: async () => ({ status, body }),
    });

  it.each([
    [
      401,
      '{"faultcode":"Client","faultstring":"Token invalid."}',
      /The agent at https:\/\/192.0.2.7:9999 refused its commands with 401: Token invalid/,
    ],
    [500, '<html>', /with 500: "<html>"/],
    [200, 'not json', /answered its commands wrongly: its answer is "not json", no JSON/],
    [200, '{"commands": 1}', /answered its commands wrongly: commands must be a list/],
  ])('turns %i %s into a sentence', async (status, body, sentence) => {
    const error = await client(status, body)
      .commands()
      .catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(AgentCallError);
    expect((error as Error).message).toMatch(sentence);
    expect((error as Error).message).not.toContain('secret');
  });

  it('says that an agent is not there', async () => {
    const gone = createAgentClient({ callbackUrl: 'http://127.0.0.1:1', agentToken: 'secret' });
    await expect(gone.execute('standby.sync')).rejects.toMatchObject({
      status: 0,
      message: expect.stringMatching(
        /^The agent at http:\/\/127.0.0.1:1 could not be asked for standby.sync: .*ECONNREFUSED/,
      ),
    });
  });

  it('says why steps could not be listed', async () => {
    const failed = {
      id: '1',
      command_name: 'get_clean_steps',
      command_status: 'FAILED',
      command_error: { message: 'no disks' },
      command_result: null,
    };
    await expect(client(200, JSON.stringify(failed)).getSteps('clean', {}, [])).rejects.toThrow(
      'could not list its clean steps: no disks',
    );
  });
});
