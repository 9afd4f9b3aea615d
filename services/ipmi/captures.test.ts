// Every packet of every capture is read, written again byte for byte, proven, decrypted, and compared with an independent derivation.

import { createSecretKey } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  decodeOpenRequest,
  decodeOpenResponse,
  decodeRakp1,
  decodeRakp2,
  decodeRakp3,
  decodeRakp4,
  encodeOpenRequest,
  encodeOpenResponse,
  encodeRakp1,
  encodeRakp2,
  encodeRakp3,
  encodeRakp4,
} from './handshake.ts';
import { deriveKeys, passwordKey, type RakpFacts, rakp2Code, rakp3Code, rakp4Code } from './keys.ts';
import { Lan15Seal, md5Code, parseAuthCapabilities, password15 } from './lan15.ts';
import { decodeRequest, decodeResponse, encodeRequest, encodeResponse } from './message.ts';
import {
  decodePacket,
  encodeLan15,
  encodePing,
  encodePlain,
  encodePong,
  PAYLOAD,
  type Packet,
  type RmcpPlusPacket,
} from './rmcp.ts';
import { SessionSeal } from './seal.ts';
import type { CipherSuite } from './suites.ts';

interface CapturedPacket {
  n: number;
  dport: number;
  payload: string;
  rmcp: {
    authType?: number;
    payload?: string;
    encrypted?: boolean;
    authenticated?: boolean;
    sessionId?: string;
    seq?: number;
    payloadLen?: number;
    ipmi?: { netfn: number; cmd: number; data: string };
  };
}
interface Capture {
  meta: { user: string; password: string };
  packets: CapturedPacket[];
}
interface Derived {
  sik: string;
  k1: string;
  k2: string;
  rakp4icv: string;
  messages: { n: number; plain: string; netfn: number; cmd: number; data: string }[];
}

const room = new URL('../../test/captures/ipmi/', import.meta.url);
const read = <T>(name: string) => JSON.parse(readFileSync(new URL(name, room), 'utf8')) as T;
const names = readdirSync(room).filter((name) => name.endsWith('.json') && !name.startsWith('derived-'));
const packetsOf = (capture: Capture) =>
  capture.packets.map((raw) => ({
    raw,
    bytes: Buffer.from(raw.payload, 'hex'),
    packet: decodePacket(Buffer.from(raw.payload, 'hex')),
  }));

/** Writes an outer packet anew from what was read. */
function rewritten(packet: Packet): Buffer | undefined {
  if (packet.kind === 'asf') return packet.type === 0x80 ? encodePing(packet.tag) : encodePong(packet.tag);
  if (packet.kind === 'lan15')
    return encodeLan15(packet.authType, packet.sequence, packet.sessionId, packet.payload, packet.authCode);
  if (packet.kind !== 'rmcpp' || packet.authenticated || packet.encrypted) return undefined;
  return encodePlain(packet.payloadType, packet.payload, packet.sessionId, packet.sequence);
}

function rewrittenHandshake({ payloadType, payload }: RmcpPlusPacket): Buffer | undefined {
  if (payloadType === PAYLOAD.openRequest) {
    const open = decodeOpenRequest(payload)!;
    return open.suite && encodeOpenRequest(open.tag, open.consoleId, open.suite, open.privilege);
  }
  if (payloadType === PAYLOAD.openResponse) {
    const open = decodeOpenResponse(payload)!;
    return open.suite && encodeOpenResponse(open.tag, open.privilege, open.consoleId!, open.bmcId, open.suite);
  }
  if (payloadType === PAYLOAD.rakp1) {
    const rakp = decodeRakp1(payload)!;
    return encodeRakp1(rakp.tag, rakp.bmcId, rakp.consoleRandom, rakp.role, rakp.user);
  }
  if (payloadType === PAYLOAD.rakp2) {
    const rakp = decodeRakp2(payload)!;
    return rakp.status === 0 ? encodeRakp2(rakp.tag, rakp.consoleId!, rakp.bmcRandom, rakp.guid, rakp.code) : undefined;
  }
  if (payloadType === PAYLOAD.rakp3) {
    const rakp = decodeRakp3(payload)!;
    return encodeRakp3(rakp.tag, rakp.status, rakp.bmcId, rakp.code);
  }
  if (payloadType === PAYLOAD.rakp4) {
    const rakp = decodeRakp4(payload)!;
    return encodeRakp4(rakp.tag, rakp.consoleId!, rakp.code);
  }
  return undefined;
}

describe('captures', () => {
  it('are all there', () => {
    expect(names).toHaveLength(13);
  });

  it.each(names)('%s: every packet is read as the capture says and written again byte for byte', (name) => {
    for (const { raw, bytes, packet } of packetsOf(read<Capture>(name))) {
      expect(packet, `packet ${raw.n}`).toBeDefined();
      const again = rewritten(packet!);
      if (again) expect(again.toString('hex')).toBe(raw.payload);
      else expect(packet).toMatchObject({ kind: 'rmcpp', authenticated: true });
      if (raw.rmcp.ipmi && packet!.kind === 'lan15') {
        const request = raw.dport === 623;
        const message = request ? decodeRequest(packet!.payload)! : decodeResponse(packet!.payload)!;
        const data =
          request || !('completionCode' in message)
            ? message.data
            : Buffer.concat([Uint8Array.of(message.completionCode), message.data]);
        expect({ netfn: message.netfn, cmd: message.cmd, data: data.toString('hex') }).toEqual(raw.rmcp.ipmi);
      }
      if (packet!.kind !== 'rmcpp') continue;
      expect(raw.rmcp).toMatchObject({
        encrypted: packet!.encrypted,
        authenticated: packet!.authenticated,
        seq: packet!.sequence,
        payloadLen: packet!.payload.length,
        sessionId: bytes.toString('hex', 6, 10),
      });
      const handshake = rewrittenHandshake(packet!);
      if (handshake) expect(handshake.toString('hex')).toBe(packet!.payload.toString('hex'));
    }
  });
});

/** Replays a capture's login from both sides, and gives the keys. */
function replayLogin(capture: Capture, password = capture.meta.password) {
  const packets = packetsOf(capture);
  const payload = (type: number) => {
    const found = packets.find(({ packet }) => packet?.kind === 'rmcpp' && packet.payloadType === type)?.packet;
    return found?.kind === 'rmcpp' ? found.payload : undefined;
  };
  const open = decodeOpenResponse(payload(PAYLOAD.openResponse)!)!;
  const first = decodeRakp1(payload(PAYLOAD.rakp1)!)!;
  const second = decodeRakp2(payload(PAYLOAD.rakp2)!)!;
  const suite = open.suite as CipherSuite;
  const key = createSecretKey(passwordKey(password));
  const facts: RakpFacts = {
    consoleId: open.consoleId!,
    bmcId: open.bmcId,
    consoleRandom: first.consoleRandom,
    bmcRandom: second.bmcRandom,
    guid: second.guid,
    role: first.role,
    user: first.user,
  };
  return { packets, payload, suite, key, facts, second, keys: deriveKeys(suite.hash, key, facts) };
}

const proven = names.filter((name) => /rmcpp-(c[123]-(power|chassis|bootdev)|default)|power-stat-admin/.test(name));

describe('proofs', () => {
  it.each(proven)('%s: RAKP codes, integrity codes and plain texts', (name) => {
    const { packets, payload, suite, key, facts, second, keys } = replayLogin(read<Capture>(name));
    expect(second.code.toString('hex')).toBe(rakp2Code(suite.hash, key, facts).toString('hex'));
    expect(decodeRakp3(payload(PAYLOAD.rakp3)!)!.code.toString('hex')).toBe(
      rakp3Code(suite.hash, key, facts).toString('hex'),
    );
    const fourth = rakp4Code(suite.hash, keys.sik, facts, suite.icvBytes).toString('hex');
    expect(decodeRakp4(payload(PAYLOAD.rakp4)!)!.code.toString('hex')).toBe(fourth);
    const toBmc = new SessionSeal(suite, keys, facts.consoleId, Buffer.alloc(16));
    const toConsole = new SessionSeal(suite, keys, facts.bmcId, Buffer.alloc(16));
    const plain: { n: number; plain: string; netfn: number; cmd: number; data: string }[] = [];
    for (const { raw, packet } of packets) {
      if (packet?.kind !== 'rmcpp' || packet.sessionId === 0) continue;
      const message = (raw.dport === 623 ? toBmc : toConsole).open(packet);
      expect(message, `packet ${raw.n}`).toBeDefined();
      if (raw.dport === 623) {
        const request = decodeRequest(message!)!;
        expect(encodeRequest(request.netfn, request.cmd, request.rqSeq, request.data).equals(message!)).toBe(true);
        plain.push({
          n: raw.n,
          plain: message!.toString('hex'),
          netfn: request.netfn,
          cmd: request.cmd,
          data: request.data.toString('hex'),
        });
      } else {
        const response = decodeResponse(message!)!;
        const data = Buffer.concat([Uint8Array.of(response.completionCode), response.data]).toString('hex');
        plain.push({ n: raw.n, plain: message!.toString('hex'), netfn: response.netfn, cmd: response.cmd, data });
      }
      // The same packet again is a replay.
      expect((raw.dport === 623 ? toBmc : toConsole).open(packet)).toBeUndefined();
    }
    expect(plain.length).toBeGreaterThanOrEqual(6);
    const derivedName = `derived-${name}`;
    if (!readdirSync(room).includes(derivedName)) return;
    const derived = read<Derived>(derivedName);
    expect(plain).toEqual(
      derived.messages.map(({ n, plain: text, netfn, cmd, data }) => ({ n, plain: text, netfn, cmd, data })),
    );
    expect(keys.sik.export().toString('hex')).toBe(derived.sik);
    expect(keys.k1.export().toString('hex')).toBe(derived.k1);
    expect(keys.aes.toString('hex')).toBe(derived.k2.slice(0, 32));
    expect(fourth).toBe(derived.rakp4icv);
  });

  it('finds a flipped bit anywhere in a sealed packet', () => {
    const { packets, facts, suite, keys } = replayLogin(read<Capture>('rmcpp-c3-chassis-status.json'));
    const sealed = packets.find(({ packet }) => packet?.kind === 'rmcpp' && packet.authenticated)!.bytes;
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const broken = Buffer.from(sealed);
      broken[bit >> 3]! ^= 1 << (bit & 7);
      const packet = decodePacket(broken);
      const seal = new SessionSeal(suite, keys, facts.consoleId, Buffer.alloc(16));
      const opened = packet?.kind === 'rmcpp' && packet.sessionId === facts.bmcId ? seal.open(packet) : undefined;
      // Bytes 1 and 2 are RMCP's reserved byte and sequence number, outside the covered part.
      if (bit >> 3 !== 1 && bit >> 3 !== 2 && opened && packet?.kind === 'rmcpp') {
        throw new Error(`bit ${bit} was believed`);
      }
    }
  });

  it('sees that the password of the refused login is not the BMC’s', () => {
    const { suite, key, facts, second } = replayLogin(read<Capture>('rmcpp-c3-badpassword.json'), 'wrong');
    expect(rakp2Code(suite.hash, key, facts).equals(second.code)).toBe(false);
  });

  it('reads the refusals: a 2-byte one for suite 17, and status 0x0d for the unknown user', () => {
    const refusal = packetsOf(read<Capture>('rmcpp-c17-rejected.json')).at(-1)!.packet as RmcpPlusPacket;
    expect(decodeOpenResponse(refusal.payload)).toMatchObject({ tag: 0, status: 0x04, consoleId: undefined });
    const unknown = packetsOf(read<Capture>('rmcpp-c3-baduser.json')).at(-1)!.packet as RmcpPlusPacket;
    expect(decodeRakp2(unknown.payload)).toMatchObject({ status: 0x0d });
  });

  it('proves every packet of the IPMI 1.5 MD5 session', () => {
    const capture = read<Capture>('ipmi15-md5-chassis-status.json');
    const key = password15(capture.meta.password);
    let checked = 0;
    for (const { packet } of packetsOf(capture)) {
      if (packet?.kind !== 'lan15' || !packet.authCode) continue;
      expect(md5Code(key, packet.sessionId, packet.sequence, packet.payload).equals(packet.authCode)).toBe(true);
      checked++;
    }
    expect(checked).toBe(16);
    const [request, answer] = packetsOf(capture).slice(8, 10);
    if (request?.packet?.kind !== 'lan15' || answer?.packet?.kind !== 'lan15') throw new Error('capture changed');
    const seal = new Lan15Seal(key, request.packet.sessionId, request.packet.sequence, true);
    expect(seal.seal(request.packet.payload).toString('hex')).toBe(request.raw.payload);
    expect(seal.open(answer.packet)?.equals(answer.packet.payload)).toBe(true);
    expect(seal.open(answer.packet)).toBeUndefined();
  });

  it('reads the channel capabilities of both protocols', () => {
    const first = packetsOf(read<Capture>('rmcpp-c3-chassis-status.json'))[1]!.packet;
    const capabilities =
      first?.kind === 'lan15' ? parseAuthCapabilities(decodeResponse(first.payload)!.data) : undefined;
    expect(capabilities).toMatchObject({ rmcpPlus: true, md5: true, kgSet: false, perMessage: true });
  });

  it('answers a captured request exactly as the BMC did', () => {
    const { packets, facts, suite, keys } = replayLogin(read<Capture>('rmcpp-c2-power-status.json'));
    const toBmc = new SessionSeal(suite, keys, facts.consoleId, Buffer.alloc(16));
    const fromBmc = new SessionSeal(suite, keys, facts.consoleId, Buffer.alloc(16));
    const sealed = packets.filter(({ packet }) => packet?.kind === 'rmcpp' && packet.sessionId !== 0);
    for (let i = 0; i + 1 < sealed.length; i += 2) {
      const request = decodeRequest(toBmc.open(sealed[i]!.packet as RmcpPlusPacket)!)!;
      const captured = sealed[i + 1]!.packet as RmcpPlusPacket;
      const response = decodeResponse(captured.payload)!;
      const message = encodeResponse(request, response.completionCode, response.data);
      expect(fromBmc.seal(PAYLOAD.ipmi, message).toString('hex')).toBe(sealed[i + 1]!.raw.payload);
    }
  });
});
