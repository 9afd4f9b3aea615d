import { describe, expect, it } from 'vitest';
import { handClock } from '../../../test/setup/hand-clock.ts';
import { fault } from '../../core/errors/index.ts';
import type { ConsoleOptions } from '../../power/index.ts';
import { type AttachWish, ConsoleLine, type LineMessage, type Party } from './line.ts';

/** A BMC with one stream, which somebody else may hold. */
function bmc() {
  const { clock, leap: pass } = handClock();
  const told: string[] = [];
  const state = {
    stream: null as ConsoleOptions | null,
    heldElsewhere: false,
    typed: '',
    opens: 0,
    closes: 0,
    idle: 0,
    opened: () => {},
    closing: Promise.resolve(),
  };
  const line = new ConsoleLine(
    'n1',
    {
      async open(options) {
        state.opens += 1;
        if (state.heldElsewhere && !options.steal)
          throw fault('bmc-console-in-use', { bmc: 'b', node: 'n1', text: 'it is in use by another session' });
        state.heldElsewhere = false;
        state.stream = options;
        queueMicrotask(() => state.opened());
        return {
          pending: 0,
          write(data) {
            state.typed += Buffer.from(data).toString();
            return true;
          },
          break: () => true,
          async close() {
            await state.closing;
            state.closes += 1;
            state.stream = null;
          },
        };
      },
      onData: () => {},
      onOpen: (by, took) => void told.push(`${took ? 'taken' : 'open'} ${by}`),
      onLost: (reason) => void told.push(`lost ${reason}`),
      onRefused: (reason) => void told.push(`refused ${reason}`),
      onClose: () => void told.push('closed'),
      onWriter: (who, from) => void told.push(`writer ${who} after ${from}`),
      onIdle: () => {
        state.idle += 1;
      },
    },
    clock,
  );
  return { line, state, told, pass };
}

interface Listener extends Party {
  text: string;
  told: LineMessage[];
}

function party(name: string): Listener {
  const listener: Listener = {
    name,
    text: '',
    told: [],
    data: (bytes) => {
      listener.text += bytes.toString();
    },
    tell: (message) => void listener.told.push(message),
  };
  return listener;
}

const writes: AttachWish = { write: true, take: false, steal: false };
const watches: AttachWish = { write: false, take: false, steal: false };
const takes: AttachWish = { write: true, take: true, steal: true };

describe('a console’s line', () => {
  it('has one writer and many watchers, who all see the same', async () => {
    const { line, state } = bmc();
    const [ada, bob, cy] = [party('ada'), party('bob'), party('cy')];
    await line.attach(ada, writes);
    await line.attach(bob, writes);
    await line.attach(cy, watches);
    expect(state.opens).toBe(1);
    expect(ada.told.at(-1)).toMatchObject({ type: 'writer', you: true });
    expect(bob.told.at(-1)).toMatchObject({ type: 'writer', you: false, who: 'ada' });
    state.stream?.onData(Buffer.from('login: '));
    expect([ada.text, bob.text, cy.text]).toEqual(['login: ', 'login: ', 'login: ']);
    line.write(ada, Buffer.from('a'));
    line.write(bob, Buffer.from('b'));
    line.write(bob, Buffer.from('b'));
    expect(state.typed).toBe('a');
    expect(bob.told.filter(({ type }) => type === 'note')).toEqual([
      { type: 'note', text: 'Not typed: ada writes here.' },
    ]);
  });

  it('gives the writer’s place away when it is taken, and tells the one who had it', async () => {
    const { line, state, told } = bmc();
    const [ada, bob] = [party('ada'), party('bob')];
    await line.attach(ada, writes);
    await line.attach(bob, takes);
    expect(ada.told.at(-1)).toEqual({
      ...{ type: 'writer', you: false, who: 'bob' },
      text: 'bob took the writer’s place; you watch.',
    });
    line.write(bob, Buffer.from('x'));
    expect(state.typed).toBe('x');
    line.detach(bob);
    expect(ada.told.at(-1)).toMatchObject({ you: false, who: null });
    line.take(ada);
    expect(ada.told.at(-1)).toMatchObject({ you: true });
    expect(told.slice(1)).toEqual([
      'writer ada after null',
      'writer bob after ada',
      'writer null after bob',
      'writer ada after null',
    ]);
  });

  it('refuses with the remedy while another program holds the console, and takes it when told', async () => {
    const { line, state, told } = bmc();
    state.heldElsewhere = true;
    const ada = party('ada');
    const refused = await line.attach(ada, writes).catch((error) => error);
    expect(refused.code).toBe('console-in-use');
    expect(refused.message).toContain('--take-over');
    expect(line.parties).toBe(0);
    // The same words again are no news.
    await line.attach(ada, writes).catch(() => {});
    expect(told.filter((one) => one.startsWith('refused'))).toHaveLength(1);
    await line.attach(ada, takes);
    expect(told.at(-2)).toBe('taken ada');
  });

  it('comes back after a loss with a visible note, later each time', async () => {
    const { line, state, pass } = bmc();
    const ada = party('ada');
    await line.attach(ada, writes);
    state.stream?.onClose?.('the BMC does not answer.');
    expect(ada.told.at(-1)).toMatchObject({ text: 'The console was lost: the BMC does not answer. Trying again.' });
    line.write(ada, Buffer.from('lost'));
    expect(state.typed).toBe('');
    const again = new Promise<void>((resolve) => {
      state.opened = resolve;
    });
    pass(999);
    expect(state.opens).toBe(1);
    pass(1);
    await again;
    await new Promise((resolve) => setImmediate(resolve));
    expect(ada.told.at(-1)).toEqual({ type: 'state', state: 'open', text: 'The console is open again.' });
    // Still the writer.
    line.write(ada, Buffer.from('y'));
    expect(state.typed).toBe('y');
  });

  it('is open while it is held or watched, and no longer', async () => {
    const { line, state } = bmc();
    const ada = party('ada');
    line.hold('operation');
    await line.attach(ada, watches);
    expect(state.opens).toBe(1);
    line.release('operation');
    expect(line.state).toBe('open');
    line.detach(ada);
    await new Promise((resolve) => setImmediate(resolve));
    expect({ state: line.state, closes: state.closes, idle: state.idle }).toEqual({
      state: 'closed',
      closes: 1,
      idle: 1,
    });
  });

  it('waits for the end of the stream before when somebody comes back at once', async () => {
    const { line, state } = bmc();
    const [ada, bob] = [party('ada'), party('bob')];
    await line.attach(ada, writes);
    const slow = Promise.withResolvers<void>();
    state.closing = slow.promise;
    line.detach(ada);
    const back = line.attach(bob, writes);
    await new Promise((resolve) => setImmediate(resolve));
    expect({ opens: state.opens, closes: state.closes }).toEqual({ opens: 1, closes: 0 });
    slow.resolve();
    await back;
    expect({ opens: state.opens, closes: state.closes, state: line.state }).toEqual({
      opens: 2,
      closes: 1,
      state: 'open',
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect([line.state, state.idle]).toEqual(['open', 0]);
  });

  it('tells the writer’s size to those who watch', async () => {
    const { line } = bmc();
    const [ada, bob] = [party('ada'), party('bob')];
    await line.attach(ada, writes);
    await line.attach(bob, watches);
    line.resize(ada, 132, 43);
    line.resize(bob, 10, 10);
    expect(bob.told.at(-1)).toEqual({ type: 'size', columns: 132, rows: 43 });
    expect(ada.told.some(({ type }) => type === 'size')).toBe(false);
  });
});
