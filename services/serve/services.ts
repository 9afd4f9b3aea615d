/** Every service put together: who is given whom. The order is the house's floors, lowest first. */
import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Baremetal, createBaremetal } from '../baremetal/index.ts';
import { type Boot, type BootLink, type BootSockets, createBoot } from '../boot/index.ts';
import { type Compute, createCompute } from '../compute/index.ts';
import { type Config, statePaths } from '../core/config.ts';
import { datagramPort } from '../core/datagrams.ts';
import type { House } from '../core/house.ts';
import type { Api, Authenticate } from '../core/http/index.ts';
import { datagramFrom } from '../core/sockets.ts';
import { createIdentity, type Identity } from '../identity/index.ts';
import { createImages, diskBlobs, type Images, s3Blobs } from '../image/index.ts';
import { createNetwork, type Network } from '../network/index.ts';
import { createOrchestration, type Orchestration } from '../orchestration/index.ts';
import { createPower, type FleetSettings, type Power } from '../power/index.ts';
import { bootPort, type Descriptors, type LinkDescriptors } from './descriptors.ts';

export interface Services {
  readonly identity: Identity;
  readonly images: Images;
  /** Lets go of the connections to where images lie. */
  closeBlobs(): void;
  readonly power: Power;
  readonly network: Network;
  readonly baremetal: Baremetal;
  /** Null without a provisioning network. */
  readonly boot: Boot | null;
  readonly compute: Compute;
  readonly orchestration: Orchestration;
}

/** An emulated machine is several times slower than the slowest real one at everything but its POST. */
const emulationFactor = 3;

export async function createServices(
  house: House,
  config: Config,
  descriptors: Partial<Descriptors>,
): Promise<Services> {
  const paths = statePaths(config.stateDir);
  const links = { ...(config.publicUrl && { publicUrl: config.publicUrl }) };
  const caCertificate = readFileSync(paths.caCertificate, 'utf8');
  const signingKey = createPrivateKey(readFileSync(paths.signingKey, 'utf8'));
  const { provisioning } = config;
  const apiPort = config.listen.slice(config.listen.lastIndexOf(':') + 1);
  /** How nodes reach the API; without a provisioning network there are none to reach it. */
  const apiUrl = `https://${provisioning?.address ?? 'localhost'}:${apiPort}`;

  const identity = createIdentity(house, { region: config.region, ...links });
  const authenticate: Authenticate = (token, requestId) => identity.authenticate(token, requestId);
  const common = { authenticate, ...links };

  const s3 = config.s3 ? s3Blobs(config.s3) : null;
  const blobs = s3 ?? diskBlobs(paths.images);
  const images: Images = createImages(house, {
    ...common,
    blobs,
    workDir: join(paths.images, 'work'),
    ...(config.images && { limits: config.images }),
    signingKey,
    linkKey: derivedKey(paths.secretKey, 'image links'),
    deliveryUrl: provisioning ? `http://${provisioning.address}:${bootPort}` : null,
    users: async ({ id, name }) => [
      ...(await compute.serversOf(id)).map((server) => `server ${server.name}`),
      ...(await baremetal.nodesOfImage(id, name)).map((node) => `node ${node.name ?? node.uuid}`),
    ],
  });
  // A BMC that is asked to send its events needs a name for us that it can reach.
  const power = createPower(house, config.publicUrl ? { pushUrl: `${config.publicUrl}/baremetal/v1/bmc-events` } : {});
  const network = createNetwork(house, common);
  if (provisioning) {
    const { cidr, pool, gateway, nameservers, further } = provisioning;
    await network.ensureProvisioning({
      name: 'ctlplane',
      cidr,
      pool,
      gateway: gateway ?? null,
      nameservers: nameservers ?? [],
      ...(further && { further }),
    });
  }
  let boot: Boot | null = null;
  const speed = config.lab ? emulationFactor * (await (await labRoom()).machineSpeed()) : 1;
  const baremetal = createBaremetal(house, {
    ...common,
    bootHold: () => boot?.hold() ?? null,
    power,
    images,
    network,
    prefix: '/baremetal',
    fleet: fleetSettings(config),
    consoles: { ...config.console, directory: paths.consoles },
    speed,
  });
  boot = provisioning
    ? await createBootOf(house, {
        config,
        descriptors,
        network,
        baremetal,
        apiUrl,
        caCertificate,
        signingKey,
        authenticate,
        speed,
      })
    : null;
  const compute: Compute = createCompute(house, {
    ...common,
    network,
    baremetal,
    images,
    caCertificate,
    region: config.region,
  });
  const orchestration = createOrchestration(house, {
    ...common,
    baremetal,
    compute,
    network,
    identity,
    images,
    cfnUrl: `${apiUrl}/cfn/v1`,
    heatUrl: `${apiUrl}/orchestration/v1`,
    objectUrl: `${apiUrl}/object/v1`,
    authUrl: `${apiUrl}/identity/v3`,
    region: config.region,
  });
  return { identity, images, closeBlobs: () => s3?.close(), power, network, baremetal, boot, compute, orchestration };
}

function fleetSettings({ fleet = {} }: Config): Partial<FleetSettings> | null {
  const { everySeconds, maintenanceAfterSeconds } = fleet;
  if (everySeconds === 0) return null;
  return {
    ...(everySeconds !== undefined && { everyMs: everySeconds * 1_000 }),
    ...(maintenanceAfterSeconds !== undefined && { silenceMs: maintenanceAfterSeconds * 1_000 }),
  };
}

interface BootParts {
  config: Config;
  descriptors: Partial<Descriptors>;
  network: Network;
  baremetal: Baremetal;
  apiUrl: string;
  caCertificate: string;
  signingKey: KeyObject;
  authenticate: Authenticate;
  speed: number;
}

async function createBootOf(
  house: House,
  { config, descriptors, network, baremetal, apiUrl, caCertificate, signingKey, authenticate, speed }: BootParts,
): Promise<Boot | null> {
  const { provisioning } = config;
  const sockets = await socketsOf(descriptors);
  if (!provisioning || !sockets) return null;
  const further: BootLink[] = [];
  for (const [i, { interface: device, address }] of (provisioning.further ?? []).entries()) {
    const theirs = await socketsOf(descriptors.further?.[i] ?? {});
    if (theirs) further.push({ interface: device, address, sockets: theirs });
  }
  const bootDir = statePaths(config.stateDir).boot;
  const profile = config.lab ? 'lab' : 'hardware';
  const own = ramdiskArguments(join(bootDir, 'ramdisk', profile, 'manifest.json'));
  const kernelArguments = own && config.lab && (await isEmulated()) ? [...own, emulatedCrypto] : own;
  return createBoot(house, {
    network,
    baremetal,
    sockets,
    ...(further.length > 0 && { further }),
    bootDir,
    provisioning: { ...provisioning, httpPort: bootPort },
    apiUrl,
    caCertificate,
    imageKey: createPublicKey(signingKey).export({ type: 'spki', format: 'pem' }).toString(),
    authenticate,
    profile,
    speed,
    // The lab's bridge speaks no LLDP: nothing would come of waiting for it.
    ...(config.lab && { lldpSeconds: 2 }),
    ...(kernelArguments && { kernelArguments }),
  });
}

/** Null where the link's DHCP and TFTP were not handed over. */
async function socketsOf({ dhcp, tftp, ra, wire, dns, dnsTcp, proxy }: LinkDescriptors): Promise<BootSockets | null> {
  if (dhcp === undefined || tftp === undefined) return null;
  return {
    // While it is busy the wire is looked at every 8 ms at most: no client minds, and each wake costs more than a packet.
    dhcp: datagramPort(dhcp, { pacedMs: 8 }),
    tftp: datagramPort(tftp),
    ...(proxy !== undefined && { proxy: datagramPort(proxy) }),
    ...(ra !== undefined && { ra: { fd: ra } }),
    ...(wire !== undefined && { wire: { fd: wire } }),
    ...(dns !== undefined && { dns: await datagramFrom(dns) }),
    ...(dnsTcp !== undefined && { dnsTcp: { fd: dnsTcp } }),
  };
}

/** What can be told of this machine without trying: the lab's own finding is root's to read. */
async function isEmulated(): Promise<boolean> {
  const { cheapRefusal } = await labRoom();
  return cheapRefusal(readFileSync('/proc/cpuinfo', 'utf8'), existsSync('/dev/kvm')) !== undefined;
}

/** Much code, and only a lab needs it: everybody else starts sooner without. */
const labRoom = () => import('../lab/index.ts');

/**
 * To the ramdisk's OpenSSL: do without AES-NI, AVX and SHA extensions, which QEMU emulates instruction by instruction. The
 * plain code hashes five times as fast there (25 against 130 MiB per CPU second of sha256). The kernel hands an argument
 * it does not know to init as an environment variable. Never on hardware.
 */
const emulatedCrypto: [string, string] = ['OPENSSL_ia32cap', '~0x1000020000000000:~0x20000128'];

/** The ramdisk's own command line, which its manifest names, as boot takes it. */
function ramdiskArguments(manifest: string): [string, string | null][] | null {
  if (!existsSync(manifest)) return null;
  const { commandLine } = JSON.parse(readFileSync(manifest, 'utf8')) as { commandLine: string };
  return commandLine.split(' ').map((word) => {
    const at = word.indexOf('=');
    return at < 0 ? [word, null] : [word.slice(0, at), word.slice(at + 1)];
  });
}

/** A key of its own for each purpose, from the one secret of this undercloud. */
const derivedKey = (file: string, purpose: string): Buffer =>
  createHash('sha256').update(readFileSync(file)).update(purpose).digest();

/** Mounts every dialect under its prefix. */
export function mountServices(api: Api, services: Services): void {
  api.register(services.identity.routes, { prefix: '/identity' });
  api.register(services.baremetal.routes, { prefix: '/baremetal' });
  api.register(services.images.routes, { prefix: '/image' });
  api.register(services.network.routes, { prefix: '/network' });
  api.register(services.compute.routes, { prefix: '/compute' });
  api.register(services.orchestration.routes, { prefix: '/orchestration' });
  api.register(services.orchestration.cfnRoutes, { prefix: '/cfn' });
  api.register(services.orchestration.tempUrlRoutes, { prefix: '/object' });
  if (services.boot) api.register(services.boot.apiRoutes, { prefix: '/boot' });
}
