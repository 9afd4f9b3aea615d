import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SHIPPED_ELEMENTS } from './definition.ts';

const AGENT = join(SHIPPED_ELEMENTS, 'configuration-agent/static/usr/lib/undercloud/configuration/agent');

let root: string;
let server: Server;
let base: string;
let signals: { url: string; method: string; body: Record<string, unknown> }[];
let refuseSignals: number;
let metadata: Record<string, string>;

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

let document: Record<string, unknown>;
let polls: string[];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'configuration-agent-'));
  signals = [];
  refuseSignals = 0;
  polls = [];
  metadata = {};
  for (const directory of ['etc/ssl/certs', 'root', 'run', 'var/lib'])
    await mkdir(join(root, directory), { recursive: true });
  await writeFile(join(root, 'etc/ssl/certs/ca-certificates.crt'), '');
  await writeFile(join(root, 'etc/hosts'), '127.0.0.1 localhost\n');
  server = createServer(async (request, response) => {
    const url = request.url ?? '';
    if (url.startsWith('/openstack/latest/')) {
      const file = metadata[url.slice('/openstack/latest/'.length)];
      response.statusCode = file === undefined ? 404 : 200;
      return response.end(file);
    }
    if (url.startsWith('/v1/signal/')) {
      const body = JSON.parse(await bodyOf(request)) as Record<string, unknown>;
      if (refuseSignals > 0) {
        refuseSignals -= 1;
        response.statusCode = 503;
        return response.end('busy');
      }
      signals.push({ url, method: request.method ?? '', body });
      return response.end();
    }
    if (url.startsWith('/v1/?')) {
      polls.push(url);
      return response.end(
        `<DescribeStackResourceResponse><DescribeStackResourceResult><StackResourceDetail><Metadata>${escaped(JSON.stringify(document))}</Metadata></StackResourceDetail></DescribeStackResourceResult></DescribeStackResourceResponse>`,
      );
    }
    response.statusCode = 404;
    return response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(root, { recursive: true, force: true });
});

async function runAgent(rounds = 1): Promise<{ code: number | null; text: string }> {
  const env = {
    UC_ROOT: root,
    UC_METADATA_URL: base,
    UC_INTERVAL: '0',
    UC_RETRY: '0',
    UC_ROUNDS: String(rounds),
    UC_PATH: process.env.PATH ?? '',
  };
  const child = spawn(AGENT, [], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  child.stdout.on('data', (data: Buffer) => {
    text += data.toString();
  });
  child.stderr.on('data', (data: Buffer) => {
    text += data.toString();
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, text };
}

async function seedDrive(files: Record<string, string>): Promise<void> {
  const directory = join(root, 'var/lib/cloud/seed/config_drive/openstack/latest');
  await mkdir(directory, { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
}

const META = {
  uuid: '7c5e0b1e-0000-4000-8000-000000000001',
  hostname: 'web-0.example.org',
  public_keys: { me: 'ssh-ed25519 AAAAC3 me@example' },
};
const PEM = '-----BEGIN CERTIFICATE-----\nMIIBundercloud\n-----END CERTIFICATE-----\n';

function deployment(id: string, config: string, signalPath = `/v1/signal/${id}`): Record<string, unknown> {
  return {
    id,
    name: `deployment-${id}`,
    group: 'script',
    config,
    inputs: [
      { name: 'greeting', type: 'String', value: "it's $HOME; `id`" },
      { name: 'settings', type: 'Json', value: { port: 80 } },
      { name: 'deploy_signal_id', type: 'String', value: `${base}${signalPath}` },
      { name: 'deploy_signal_verb', type: 'String', value: 'POST' },
    ],
    outputs: [{ name: 'result', type: 'String', error_output: false }],
  };
}

const SECRET = "@ww*H3ZJqbLjgHVpJACmUi*9fG&Kj'bk";
const collectors = (): Record<string, unknown> => ({
  collectors: ['cfn', 'local'],
  cfn: {
    metadata_url: `${base}/v1/`,
    access_key_id: 'c11cf50db43141fc',
    secret_access_key: SECRET,
    stack_name: 'hello',
    path: 'server.Metadata',
  },
  heat: null,
});

function multipart(parts: { type: string; filename: string; body: string; encoding?: string }[]): string {
  const boundary = '===============0000000000000000001==';
  const lines = [`Content-Type: multipart/mixed; boundary="${boundary}"`, 'MIME-Version: 1.0', ''];
  for (const { type, filename, body, encoding = '7bit' } of parts) {
    lines.push(
      `--${boundary}`,
      `Content-Type: ${type}; charset="us-ascii"`,
      'MIME-Version: 1.0',
      `Content-Transfer-Encoding: ${encoding}`,
    );
    lines.push(`Content-Disposition: attachment;`, ` filename="${filename}"`, '', body);
  }
  lines.push(`--${boundary}--`, '');
  return lines.join('\n');
}

describe('the configuration agent of the lab image', () => {
  it('does the first-boot duties from a config drive, once an instance', async () => {
    await seedDrive({
      'meta_data.json': JSON.stringify(META),
      'vendor_data.json': JSON.stringify({
        'cloud-init': `#cloud-config\nca_certs:\n  trusted:\n    - |\n      ${PEM.replaceAll('\n', '\n      ')}\n`,
      }),
      user_data: `#!/bin/sh\necho once >>${root}/ran\n`,
    });
    const first = await runAgent();
    expect(first).toMatchObject({ code: 0 });
    expect(await readFile(join(root, 'etc/hostname'), 'utf8')).toBe('web-0\n');
    expect(await readFile(join(root, 'etc/hosts'), 'utf8')).toContain('127.0.1.1 web-0.example.org web-0');
    expect(await readFile(join(root, 'root/.ssh/authorized_keys'), 'utf8')).toBe('ssh-ed25519 AAAAC3 me@example\n');
    expect(await readFile(join(root, 'etc/ssl/certs/ca-certificates.crt'), 'utf8')).toBe(PEM);
    expect(await readFile(join(root, 'ran'), 'utf8')).toBe('once\n');
    await runAgent();
    expect(await readFile(join(root, 'ran'), 'utf8')).toBe('once\n');
    expect(await readFile(join(root, 'etc/ssl/certs/ca-certificates.crt'), 'utf8')).toBe(PEM);
    await seedDrive({ 'meta_data.json': JSON.stringify({ ...META, uuid: '7c5e0b1e-0000-4000-8000-000000000002' }) });
    await runAgent();
    expect(await readFile(join(root, 'ran'), 'utf8')).toBe('once\nonce\n');
  });

  it('polls cfn with a valid signature, runs script deployments once and signals until it is heard', async () => {
    document = {
      deployments: [
        deployment(
          'd-1',
          '#!/bin/sh\necho "<$greeting> & \\"$settings\\""\nprintf %s "out-$greeting" >$heat_outputs_path.result\n',
        ),
        deployment('d-2', '#!/bin/sh\necho broken >&2\nexit 7\n'),
      ],
      'os-collect-config': collectors(),
    };
    refuseSignals = 2;
    metadata['meta_data.json'] = JSON.stringify(META);
    const script = Buffer.from(`#!/bin/sh\necho part >>${root}/ran\n`).toString('base64');
    metadata.user_data = multipart([
      { type: 'text/cloud-config', filename: 'cloud-config', body: '#cloud-config\n{}' },
      { type: 'text/x-shellscript', filename: 'setup', body: script, encoding: 'base64' },
      {
        type: 'text/x-cfninitdata',
        filename: 'cfn-init-data',
        body: JSON.stringify({ 'os-collect-config': collectors() }),
      },
    ]);
    const { code, text } = await runAgent(2);
    expect(code, text).toBe(0);
    expect(await readFile(join(root, 'ran'), 'utf8')).toBe('part\n');
    expect(signals.map(({ url, method }) => [url, method])).toEqual([
      ['/v1/signal/d-1', 'POST'],
      ['/v1/signal/d-2', 'POST'],
    ]);
    expect(signals[0]!.body).toEqual({
      deploy_stdout: '<it\'s $HOME; `id`> & "{"port":80}"\n',
      deploy_stderr: '',
      deploy_status_code: 0,
      result: "out-it's $HOME; `id`",
    });
    expect(signals[1]!.body).toMatchObject({ deploy_stderr: 'broken\n', deploy_status_code: 7 });
    const query = new URLSearchParams(polls[0]!.slice('/v1/?'.length));
    const signature = query.get('Signature');
    query.delete('Signature');
    const text2 = ['GET', new URL(base).host, '/v1/', query.toString()].join('\n');
    expect(signature).toBe(createHmac('sha256', SECRET).update(text2).digest('base64'));
    await runAgent();
    expect(signals).toHaveLength(2);
  });

  it('keeps a result that nobody took and sends it after a restart', async () => {
    document = { deployments: [deployment('d-9', '#!/bin/sh\ntrue\n')], 'os-collect-config': collectors() };
    await seedDrive({
      'meta_data.json': JSON.stringify({ ...META, meta: { 'os-collect-config': JSON.stringify(collectors()) } }),
    });
    refuseSignals = 11;
    const first = await runAgent();
    expect(first.text).toContain('was not taken in 10 attempts');
    expect(signals).toHaveLength(0);
    const second = await runAgent();
    expect(signals, second.text).toHaveLength(1);
    expect(second.text).not.toContain('d-9 (script) runs');
  });

  it('fails a deployment whose group has no hook, uses a hook where there is one, and runs the refresh phases in order', async () => {
    document = {
      deployments: [
        { ...deployment('p-1', 'x'), group: 'puppet' },
        { ...deployment('j-1', 'payload'), group: 'json-file' },
      ],
      'os-collect-config': collectors(),
    };
    await seedDrive({ 'meta_data.json': JSON.stringify({ ...META, 'os-collect-config': collectors() }) });
    const hooks = join(root, 'usr/libexec/heat-config/hooks');
    await mkdir(hooks, { recursive: true });
    await writeFile(
      join(hooks, 'json-file'),
      '#!/bin/sh\njq "{deploy_stdout: .config, deploy_stderr: \\"\\", deploy_status_code: 0}"\n',
      { mode: 0o755 },
    );
    for (const phase of ['pre-configure', 'configure', 'post-configure', 'migration']) {
      const directory = join(root, `usr/libexec/os-refresh-config/${phase}.d`);
      await mkdir(directory, { recursive: true });
      await writeFile(join(directory, '10-note'), `#!/bin/sh\necho ${phase} >>${root}/phases\n`, { mode: 0o755 });
    }
    const { text } = await runAgent();
    expect(signals, text).toHaveLength(2);
    expect(signals[0]!.body.deploy_status_code).toBe(1);
    expect(String(signals[0]!.body.deploy_stderr)).toContain('no hook for deployments of group "puppet"');
    expect(signals[1]!.body.deploy_stdout).toBe('payload');
    expect(await readFile(join(root, 'phases'), 'utf8')).toBe('pre-configure\nconfigure\npost-configure\nmigration\n');
  });
});
