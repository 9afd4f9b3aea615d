import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AgentClient, type CommandResult, createAgentClient, type JsonObject } from '../ipa/index.ts';
import { type Agent, type AgentOptions, createAgent } from './agent.ts';
import { selfSignedCertificate } from './certificate.ts';
import type { LoadedKernel } from './hardware.ts';
import { createSimulatedHardware, type MachineEnd, type SimulatedOptions } from './simulated.ts';
import { drawnImage, type FileServer, MIB, offerImage, packImage, serveFiles } from './testing/chunked-image.ts';
import {
  AGENT_TOKEN,
  NODE_UUID,
  standInUndercloud,
  type Undercloud,
  type UndercloudOptions,
} from './testing/undercloud.ts';

const MAC = '52:54:00:dd:00:04';

let folder = '';
let disk = '';
let server: FileServer;
let undercloud: Undercloud;
const agents: Agent[] = [];
const ends: [MachineEnd, LoadedKernel | undefined][] = [];

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'agent-'));
  disk = path.join(folder, 'disk');
  writeFileSync(disk, '');
  truncateSync(disk, 16 * MIB);
  server = await serveFiles();
  ends.length = 0;
});
afterEach(async () => {
  for (const agent of agents.splice(0)) await agent.stop();
  await undercloud.close();
  await server.close();
  rmSync(folder, { recursive: true });
});

/** Not the synchronous one: the agent that is asked lives in this process. */
const curl = promisify(execFile);
const lines: string[] = [];

/** An agent that has had its first heartbeat taken, and the conductor's client to it. */
async function booted(
  more: Partial<AgentOptions> & { machine?: Partial<SimulatedOptions>; undercloud?: UndercloudOptions } = {},
) {
  const { machine, undercloud: undercloudOptions, ...options } = more;
  lines.length = 0;
  undercloud = await standInUndercloud(undercloudOptions);
  const hardware = createSimulatedHardware({
    disks: [disk],
    addresses: [MAC.toUpperCase()],
    onEnd: (end, kernel) => {
      ends.push([end, kernel]);
    },
    ...machine,
  });
  const agent = createAgent({
    hardware,
    apiUrls: [undercloud.url],
    bootToken: 'boot-token',
    listenHost: '127.0.0.1',
    listenPort: 0,
    rootDiskMinimum: 0,
    clockSkewSeconds: -31,
    timing: { lookupTimeoutMs: 2000, lookupIntervalMs: 1, heartbeatGapMs: 1, progressMs: 0, leaveMs: 60_000 },
    fetch: { backoffMs: 1, attempts: 3 },
    log: (line) => lines.push(line),
    ...options,
  });
  agents.push(agent);
  const { callbackUrl } = await agent.start();
  const verifyCa = undercloud.heartbeats[0]!.agent_verify_ca;
  const client = createAgentClient({ callbackUrl, agentToken: AGENT_TOKEN, verifyCa });
  return { agent, client, callbackUrl, verifyCa };
}

async function finished(client: AgentClient, result: CommandResult): Promise<CommandResult> {
  return client.command(result.id, { wait: true });
}

describe('the agent', () => {
  it('finds its node, announces itself, and answers its steps', async () => {
    const { client, callbackUrl } = await booted({ undercloud: { lookupFaults: [404, 503], heartbeatFaults: [409] } });
    expect(undercloud.lookups).toHaveLength(3);
    expect(undercloud.lookups[2]).toEqual({ addresses: MAC, bootToken: 'boot-token', version: '1.68' });
    expect(undercloud.heartbeats[0]).toEqual({
      callback_url: callbackUrl,
      agent_token: AGENT_TOKEN,
      agent_version: '9.11.0',
      agent_verify_ca: expect.stringContaining('BEGIN CERTIFICATE'),
      clock_skew_s: -31,
    });
    expect(callbackUrl).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    const offers = await client.getSteps('clean', { uuid: NODE_UUID }, []);
    expect(offers.hardwareManagerVersion).toEqual({ UndercloudHardwareManager: '1.0' });
    expect(offers.steps.UndercloudHardwareManager).toContainEqual({
      step: 'erase_devices_metadata',
      priority: 99,
      interface: 'deploy',
      reboot_requested: false,
      abortable: true,
    });
    expect((await client.getSteps('service', {}, [])).steps).toEqual({ UndercloudHardwareManager: [] });
  });

  it('tells a stock Ironic only what that knows', async () => {
    await booted({ bootToken: undefined, undercloud: { version: '1.62' } });
    expect(undercloud.lookups[0]).toEqual({ addresses: MAC, bootToken: undefined, version: '1.62' });
    expect(Object.keys(undercloud.heartbeats[0]!).sort()).toEqual(['agent_token', 'agent_version', 'callback_url']);
  });

  it('sends its inventory where inspection asks for it', async () => {
    undercloud = await standInUndercloud();
    await undercloud.close();
    const elsewhere = await standInUndercloud();
    await booted({ inspectionUrl: `${elsewhere.url}/v1/continue_inspection` });
    expect(elsewhere.inspections).toMatchObject([
      { inventory: { interfaces: [{ mac_address: MAC }], memory: { physical_mb: 512 } } },
    ]);
    await elsewhere.close();
  });

  it('deploys: writes, reports bytes, hands over by reset', async () => {
    const image = packImage(drawnImage('xx.x..xx'));
    const { client, agent } = await booted();
    const step = {
      interface: 'deploy',
      step: 'write_image',
      args: { image_info: { id: 'gold', chunks: offerImage(server, image) } },
    };
    const version = { UndercloudHardwareManager: '1.0' };
    const started = await client.executeStep(
      'deploy',
      step,
      { node: { uuid: NODE_UUID }, ports: [], version },
      { request: 'op-1/write' },
    );
    expect(started).toMatchObject({ command_name: 'execute_deploy_step', command_status: 'RUNNING' });
    const beat = await undercloud.heartbeat(({ progress }) => progress !== undefined && progress.done > 0);
    expect(beat.progress).toMatchObject({ step: 'write_image', total: 8 * MIB });
    const ended = await finished(client, started);
    expect(ended).toMatchObject({
      command_status: 'SUCCEEDED',
      command_error: null,
      command_result: {
        deploy_result: { result: `prepare_image: image (gold) written to device ${disk} root_uuid=null` },
        deploy_step: step,
      },
      progress: { step: 'write_image', done: 8 * MIB, total: 8 * MIB },
    });
    expect(
      readFileSync(disk)
        .subarray(0, 8 * MIB)
        .equals(image.raw),
    ).toBe(true);
    // The same request again, after a lost answer, does not start it again.
    const repeated = await client.executeStep('deploy', step, { node: {}, ports: [] }, { request: 'op-1/write' });
    expect(repeated.id).toBe(started.id);
    expect(await client.commands()).toHaveLength(1);
    const run = await client.execute('standby.run_image', {});
    await finished(client, run);
    await agent.left;
    expect(ends).toEqual([['reboot', undefined]]);
  });

  it('hands over by kexec, once the kernel is loaded', async () => {
    const kernel = path.join(folder, 'vmlinuz');
    writeFileSync(kernel, 'a kernel');
    const { client, agent } = await booted({ machine: { files: { '/boot/vmlinuz': kernel } } });
    const kexec = { kernel: { path: '/boot/vmlinuz', partition: 3 }, cmdline: 'root=UUID=1 ro' };
    const initrd = { url: server.url('initrd'), sha256: 'a'.repeat(64) };
    server.files.set('initrd', { data: Buffer.from('an initrd') });
    const wrong = await client.execute('standby.run_image', { kexec: { ...kexec, initrd } }, { wait: true });
    expect(wrong).toMatchObject({
      command_status: 'FAILED',
      command_error: {
        type: 'ImageChecksumError',
        message: expect.stringContaining('wrong checksum of initrd for kexec'),
      },
    });
    expect(ends).toEqual([]);
    const bad = await client.execute(
      'standby.run_image',
      { kexec: { ...kexec, kernel: '../../etc/shadow' } },
      { wait: true },
    );
    expect(bad.command_error).toMatchObject({ code: 400, message: expect.stringContaining('absolute path') });
    const lost = await client.execute(
      'standby.run_image',
      { kexec: { ...kexec, kernel: { path: '/boot/other', partition: 3 } } },
      { wait: true },
    );
    expect(lost.command_error?.message).toContain('/boot/other is not on the simulated disk');
    await client.execute('standby.run_image', { kexec }, { wait: true });
    await agent.left;
    expect(ends).toMatchObject([['kexec', { cmdline: 'root=UUID=1 ro' }]]);
  });

  it('powers off, even when nobody asks for the result', async () => {
    const { client, agent } = await booted({ timing: { lookupIntervalMs: 1, heartbeatGapMs: 1, leaveMs: 1 } });
    expect(await client.execute('standby.power_off')).toMatchObject({ command_name: 'power_off', command_error: null });
    await agent.left;
    expect(ends).toEqual([['power off', undefined]]);
  });

  it('takes one command at a time, and none of a lower fence', async () => {
    const release = Promise.withResolvers<void>();
    const { callbackUrl, verifyCa } = await booted({
      machine: { replace: { rereadPartitions: () => release.promise } },
    });
    const holder = (fence?: number) => createAgentClient({ callbackUrl, agentToken: AGENT_TOKEN, verifyCa, fence });
    const step = { interface: 'deploy', step: 'erase_devices_metadata' };
    const started = await holder(5).executeStep('clean', step, { node: {}, ports: [] });
    await expect(holder(5).execute('standby.sync')).rejects.toMatchObject({
      busy: true,
      fenced: false,
      message: expect.stringContaining('Agent is busy: execute_clean_step is still running'),
    });
    await expect(holder(4).execute('standby.sync')).rejects.toMatchObject({
      busy: false,
      fenced: true,
      message: expect.stringContaining('carries fence 4, and 5 has been seen'),
    });
    release.resolve();
    expect(await finished(holder(), started)).toMatchObject({
      command_status: 'SUCCEEDED',
      command_result: { clean_result: null, clean_step: step },
    });
    expect(await holder().execute('standby.sync')).toMatchObject({ command_status: 'SUCCEEDED' });
    expect(await holder(6).execute('system.lockdown', {}, { wait: true })).toMatchObject({
      command_status: 'SUCCEEDED',
    });
    await expect(holder(5).execute('standby.sync')).rejects.toMatchObject({ fenced: true });
  });

  it('refuses strangers and nonsense, and lives on', async () => {
    const { client, callbackUrl, verifyCa } = await booted();
    const stranger = createAgentClient({ callbackUrl, agentToken: 'wrong', verifyCa });
    await expect(stranger.execute('standby.sync')).rejects.toThrow(/refused standby.sync with 401: Token invalid/);
    await expect(stranger.commands()).rejects.toMatchObject({ status: 401 });
    const impostor = createAgentClient({
      callbackUrl,
      agentToken: AGENT_TOKEN,
      verifyCa: selfSignedCertificate(['127.0.0.1']).cert,
    });
    await expect(impostor.commands()).rejects.toMatchObject({
      status: 0,
      message: expect.stringMatching(/self-signed|not the one/),
    });
    await expect(client.execute('standby.explode')).rejects.toThrow(/404: There is no command standby.explode/);
    await expect(client.execute('nonsense')).rejects.toThrow(/400: name must be extension.command/);
    await expect(client.command('nothing')).rejects.toMatchObject({ status: 404 });
    for (const [method, target, body, status] of [
      ['POST', '/v1/commands/', '{', 400],
      ['POST', '/v1/commands/', '[]', 400],
      ['DELETE', '/v1/commands/', '', 405],
      ['GET', '//v1//commands//x', '', 404],
      ['GET', '/etc/passwd', '', 404],
    ] as const) {
      const args = ['-sk', '-m', '20', '-o', '/dev/null', '-w', '%{http_code}', '-X', method, '--data-binary', body];
      const { stdout: seen } = await curl('curl', [...args, `${callbackUrl}${target}?agent_token=${AGENT_TOKEN}`]);
      expect([target, seen]).toEqual([target, String(status)]);
    }
    const step = (name: string, args: JsonObject) =>
      client.executeStep('deploy', { interface: 'deploy', step: name, args }, { node: {}, ports: [] }, { wait: true });
    expect(await step('paint', {})).toMatchObject({
      command_status: 'FAILED',
      command_error: {
        type: 'InvalidCommandParamsError',
        code: 400,
        message: expect.stringContaining('There is no deploy step deploy.paint'),
      },
    });
    expect((await step('write_image', {})).command_error?.message).toBe('image_info must be an object, not undefined.');
    const old = await client.executeStep(
      'deploy',
      { interface: 'deploy', step: 'write_image' },
      { node: {}, ports: [], version: { Other: '1' } },
      { wait: true },
    );
    expect(old.command_status).toBe('CLEAN_VERSION_MISMATCH');
    expect((await client.commands()).length).toBe(3);
  });

  it('fails a write with a reason, and takes the next one', async () => {
    const image = packImage(drawnImage('xxx'));
    const chunks = offerImage(server, image);
    server.files.get('object-0')!.refuse = { status: 403, times: 1 };
    const { client } = await booted();
    const step = { interface: 'deploy', step: 'write_image', args: { image_info: { id: 'gold', chunks } } };
    const first = await client.executeStep('deploy', step, { node: {}, ports: [] }, { wait: true });
    expect(first).toMatchObject({
      command_status: 'FAILED',
      command_result: null,
      command_error: { type: 'ImageDownloadError', code: 500, message: expect.stringContaining('answered 403') },
    });
    expect(JSON.stringify(first)).not.toContain('secret');
    expect(lines.join()).not.toContain('secret');
    expect(await client.executeStep('deploy', step, { node: {}, ports: [] }, { wait: true })).toMatchObject({
      command_status: 'SUCCEEDED',
    });
  });

  it('obeys root device hints, and names what there is', async () => {
    const { client } = await booted();
    const chunks = offerImage(server, packImage(drawnImage('x')));
    const step = { interface: 'deploy', step: 'write_image', args: { image_info: { id: 'gold', chunks } } };
    const node = { properties: { root_device: { serial: 'none' } } };
    const result = await client.executeStep('deploy', step, { node, ports: [] }, { wait: true });
    expect(result.command_error).toMatchObject({
      type: 'DeviceNotFound',
      message: expect.stringContaining(`it has ${disk} (16777216 bytes)`),
    });
  });

  it('erases what a disk was, and all that it held', async () => {
    execFileSync('sgdisk', ['-n', '1:2048:+4M', disk], { stdio: 'ignore' });
    const filled = readFileSync(disk);
    filled.fill(0x5a, MIB, 6 * MIB).fill(0x5a, 8 * MIB, 9 * MIB);
    writeFileSync(disk, filled);
    const { client } = await booted();
    const clean = (step: string) =>
      client.executeStep('clean', { interface: 'deploy', step }, { node: {}, ports: [] }, { wait: true });
    expect(await clean('erase_devices_metadata')).toMatchObject({ command_status: 'SUCCEEDED' });
    const now = readFileSync(disk);
    // First and last MiB of the partition, first and last two of the disk; what lies between is data.
    expect(now.subarray(0, 2 * MIB).equals(Buffer.alloc(2 * MIB))).toBe(true);
    expect(now.subarray(4 * MIB, 5 * MIB).equals(Buffer.alloc(MIB))).toBe(true);
    expect(now.subarray(14 * MIB).equals(Buffer.alloc(2 * MIB))).toBe(true);
    expect(now[8 * MIB]).toBe(0x5a);
    const erased = await clean('erase_devices');
    expect(erased).toMatchObject({ command_status: 'SUCCEEDED', progress: { done: 16 * MIB, total: 16 * MIB } });
    expect(readFileSync(disk).equals(Buffer.alloc(16 * MIB))).toBe(true);
  });

  it('enters a boot loader where the firmware is UEFI', async () => {
    execFileSync('sgdisk', ['-n', '1:2048:+4M', '-t', '1:ef00', disk], { stdio: 'ignore' });
    const { client } = await booted({ machine: { bootMode: 'uefi' } });
    const result = await client.execute(
      'image.install_bootloader',
      { root_uuid: 'x', efi_system_part_uuid: null, prep_boot_part_uuid: null, target_boot_mode: 'uefi' },
      { wait: true },
    );
    expect(result.command_result).toEqual({
      result: 'install_bootloader: boot entry "undercloud" for partition 1 (simulated)',
    });
    const uuids = await client.execute('standby.get_partition_uuids', {}, { wait: true });
    expect(uuids.command_result).toMatchObject({ 'root uuid': null, disk });
  });

  it('hands out its logs as a tar, and its hardware', async () => {
    const { client } = await booted();
    const logs = await client.execute('log.collect_system_logs', {}, { wait: true });
    const archive = path.join(folder, 'logs.tar');
    writeFileSync(archive, gunzipSync(Buffer.from(logs.command_result!.system_logs as string, 'base64')));
    expect(execFileSync('tar', ['-xOf', archive, 'simulated'], { encoding: 'utf8' })).toBe('no log\n');
    const info = await client.execute('poll.get_hardware_info', {}, { wait: true });
    expect(info.command_result).toMatchObject({ disks: [{ name: disk, size: 16 * MIB }] });
  });

  it('says why nobody knows it, when its time is up', async () => {
    const faults = Array.from({ length: 10_000 }, () => 404);
    await expect(
      booted({ undercloud: { lookupFaults: faults }, timing: { lookupTimeoutMs: 60, lookupIntervalMs: 10 } }),
    ).rejects.toThrow(
      /The lookup failed for 0 s \(\d+ attempts\); the last reason: http:\/\/127.0.0.1:\d+ answered the lookup with 404: fault 404/,
    );
    await undercloud.close();
    await expect(booted({ undercloud: { config: { agent_token: '******' } } })).rejects.toThrow(
      /has given this node's agent token to an earlier agent/,
    );
  });

  it('vanishes in the middle of a write as a machine without power does', async () => {
    const image = packImage(drawnImage('xxxx'));
    const chunks = offerImage(server, image);
    const asked = Promise.withResolvers<void>();
    server.files.get('object-0')!.answers = () => {
      asked.resolve();
      return new Promise(() => {});
    };
    const { agent, client } = await booted();
    const step = { interface: 'deploy', step: 'write_image', args: { image_info: { id: 'gold', chunks } } };
    await client.executeStep('deploy', step, { node: {}, ports: [] });
    await asked.promise;
    await agent.stop();
    await expect(client.commands()).rejects.toMatchObject({
      status: 0,
      message: expect.stringMatching(/could not be asked for its commands: .*(ECONNREFUSED|hang up)/),
    });
    expect((await readdir(folder)).sort()).toEqual(['disk']);
  });
});
