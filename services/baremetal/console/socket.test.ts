/** The WebSocket as a client that is none of ours finds it: tokens, rights, frames that make no sense. */
import { beforeAll, describe, expect, it } from 'vitest';
import { type Appliance, createAppliance } from '../../../test/setup/appliance.ts';

interface Frame {
  type: string;
  [field: string]: unknown;
}

interface Line {
  readonly socket: WebSocket;
  readonly frames: Frame[];
  text: string;
  /** Resolves with the next frame of that type, also one that came already. */
  frame(type: string): Promise<Frame>;
  says(text: string): Promise<void>;
  readonly closed: Promise<{ code: number; reason: string }>;
}

describe('the console’s WebSocket', () => {
  let site: Appliance;
  let token = '';
  let uuid = '';
  beforeAll(async () => {
    site = await createAppliance();
    token = await logIn('admin', 'swordfish', 'admin');
    ({ uuid } = await site.baremetal.createNode(site.world.context, { name: 'n1', driver: 'fake-hardware' }));
    return () => site.close();
  });

  async function logIn(name: string, password: string, project: string): Promise<string> {
    const user = { name, password, domain: { name: 'Default' } };
    const body = {
      auth: {
        identity: { methods: ['password'], password: { user } },
        scope: { project: { name: project, domain: { name: 'Default' } } },
      },
    };
    const answer = await fetch(`${site.url}/identity/v3/auth/tokens`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    });
    expect(answer.status).toBe(201);
    return answer.headers.get('x-subject-token') ?? '';
  }

  function open(
    options: { protocols?: string[]; headers?: Record<string, string>; query?: string; node?: string } = {},
  ): Line {
    const {
      protocols = ['undercloud.console.v1'],
      headers = { 'x-auth-token': token },
      query = '',
      node = 'n1',
    } = options;
    const url = `${site.url.replace('http', 'ws')}/baremetal/v1/nodes/${node}/console${query}`;
    const socket = new WebSocket(url, { protocols, headers } as never);
    socket.binaryType = 'arraybuffer';
    const frames: Frame[] = [];
    let heard: (() => void)[] = [];
    const until = async (found: () => boolean) => {
      while (!found()) await new Promise<void>((resolve) => heard.push(resolve));
    };
    const line: Line = {
      socket,
      frames,
      text: '',
      async frame(type) {
        await until(() => frames.some((one) => one.type === type));
        return frames.splice(
          frames.findIndex((one) => one.type === type),
          1,
        )[0]!;
      },
      says: (text) => until(() => line.text.includes(text)),
      closed: new Promise((resolve) =>
        socket.addEventListener('close', ({ code, reason }) => resolve({ code, reason })),
      ),
    };
    socket.addEventListener('message', ({ data }) => {
      if (typeof data === 'string') frames.push(JSON.parse(data) as Frame);
      else line.text += Buffer.from(data as ArrayBuffer).toString();
      for (const wake of heard.splice(0)) wake();
      heard = [];
    });
    return line;
  }

  it('lets nobody in without a token, nor with a wrong one, and says so to who asks plainly', async () => {
    for (const headers of [{}, { 'x-auth-token': 'wrong' }] as Record<string, string>[]) {
      expect((await open({ headers }).closed).code).toBe(1006);
      expect((await fetch(`${site.url}/baremetal/v1/nodes/n1/console`, { headers })).status).toBe(401);
    }
  });

  it('takes a browser’s token as a subprotocol, and never gives it back', async () => {
    const hidden = `token.${Buffer.from(token).toString('base64url')}`;
    const line = open({
      headers: {},
      protocols: ['undercloud.console.v1', hidden],
      query: '?name=%3Cada%3E%1b[2J@desk',
    });
    expect(await line.frame('hello')).toEqual({ type: 'hello', node: uuid, name: 'n1', power_state: null });
    expect(line.socket.protocol).toBe('undercloud.console.v1');
    // No control sequence gets to others’ terminals.
    expect(await line.frame('writer')).toMatchObject({ you: true, who: 'ada2J@desk' });
    line.socket.send(new TextEncoder().encode('typed'));
    await line.says('typed');
    line.socket.close();
    await line.closed;
  });

  it('answers what makes no sense by a note, and goes on', async () => {
    const line = open();
    await line.frame('writer');
    for (const nonsense of [
      '',
      'not json',
      '[]',
      'null',
      '{"type":"__proto__"}',
      '{"type":"toString"}',
      '{"type":7}',
    ]) {
      line.socket.send(nonsense);
      expect((await line.frame('note')).text).toMatch(/not understood/);
    }
    for (const size of [
      '{"type":"resize"}',
      '{"type":"resize","columns":-1,"rows":2}',
      '{"type":"resize","columns":1e9,"rows":2}',
    ]) {
      line.socket.send(size);
      expect((await line.frame('note')).text).toMatch(/whole numbers/);
    }
    line.socket.send(new TextEncoder().encode('still there'));
    await line.says('still there');
    // A frame beyond the limit ends this one, and nobody else.
    const other = open({ query: '?watch=true' });
    await other.frame('writer');
    line.socket.send(new Uint8Array(100_000));
    expect((await line.closed).code).toBe(1009);
    expect(await other.frame('writer')).toMatchObject({ you: false, who: null });
    other.socket.close();
  });

  it.each([
    ['?watch=perhaps', /Unrecognized value/],
    ['?tail=-1', /tail is 0 to/],
    ['?colour=blue', /Unexpected arguments: colour/],
  ])('refuses %s in a frame', async (query, sentence) => {
    const line = open({ query });
    expect(await line.frame('refused')).toMatchObject({ status: 400, message: expect.stringMatching(sentence) });
    expect((await line.closed).code).toBe(4_400);
  });

  it('refuses a node that is not there, and tells its state to who asks plainly', async () => {
    const line = open({ node: 'nobody' });
    expect(await line.frame('refused')).toMatchObject({ status: 404, code: 'node-not-found' });
    const answer = await fetch(`${site.url}/baremetal/v1/nodes/n1/console`, { headers: { 'x-auth-token': token } });
    expect(await answer.json()).toMatchObject({ uuid, state: 'closed', watchers: 0, writer: null, enabled: false });
  });

  it('refuses what the log cannot be asked', async () => {
    for (const query of ['since=soon', 'from=x', 'limit=1.5', 'colour=blue']) {
      const answer = await fetch(`${site.url}/baremetal/v1/nodes/${uuid}/console/log?${query}`, {
        headers: { 'x-auth-token': token },
      });
      expect(answer.status).toBe(400);
    }
  });
});
