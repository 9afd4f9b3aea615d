/** The appliance itself: bootstrap, doctor, status, stop, serve, clouds. They act on this machine, not over HTTP. */
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { parse, stringify } from 'yaml';
import { type DhcpMode, readConfig, statePaths } from '../../core/config.ts';
import { fault } from '../../core/errors/index.ts';
import { defaultState } from '../cloud.ts';
import { exitCodes } from '../exit.ts';
import { table } from '../output.ts';
import { action, requireRoot, type Session } from '../program.ts';
import { runSteps } from '../steps.ts';

interface BootstrapFlags {
  listen: string;
  publicUrl?: string;
  provisioningInterface?: string[];
  provisioningAddress?: string[];
  lab?: boolean;
  databaseUrl?: string;
  redisUrl?: string;
  imageStore?: string;
  imageStoreCredentials?: string;
  region: string;
  discover?: boolean;
  bmcNetwork?: string[];
  holdOnForeignDhcp?: boolean;
  knownDhcpServer?: string[];
  domain?: string;
  ntp?: string[];
  nameserver?: string[];
  dhcp?: DhcpMode;
  dhcpRange?: string[];
}

/** What was said of the provisioning network, in the configuration's names. */
const wireOf = (flags: BootstrapFlags) => ({
  ...(flags.discover !== undefined && {
    unknownMachines: flags.discover ? ('discover' as const) : ('nothing' as const),
  }),
  ...(flags.bmcNetwork && { bmcNetworks: flags.bmcNetwork }),
  ...(flags.holdOnForeignDhcp !== undefined && {
    foreignServers: flags.holdOnForeignDhcp ? ('hold' as const) : ('report' as const),
  }),
  ...(flags.knownDhcpServer && { knownServers: flags.knownDhcpServer }),
  ...(flags.domain !== undefined && { domain: flags.domain }),
  ...(flags.ntp && { ntp: flags.ntp }),
  ...(flags.nameserver && { nameservers: flags.nameserver }),
  ...(flags.dhcp !== undefined && { dhcp: flags.dhcp }),
  ...(flags.dhcpRange && { dhcpRanges: flags.dhcpRange }),
});

/** The first is the one at whose address machines of all of them reach us. @throws Fault `usage` */
function linksOf(interfaces: readonly string[] = [], addresses: readonly string[] = []) {
  if (interfaces.length > 1 && addresses.length > 0 && addresses.length !== interfaces.length)
    throw fault('usage', {
      reason: `${interfaces.length} times --provisioning-interface and ${addresses.length} times --provisioning-address: give each interface its address, or none.`,
    });
  const [first, ...others] = interfaces;
  const [address, ...rest] = addresses;
  return {
    ...(first !== undefined && { provisioningInterface: first }),
    ...(address !== undefined && { provisioningAddress: address }),
    ...(others.length > 0 && {
      furtherInterfaces: others.map((device, i) => ({
        interface: device,
        ...(rest[i] !== undefined && { address: rest[i] }),
      })),
    }),
  };
}

/** Only these commands need it, and it is most of the program: whoever lists nodes should not wait for it. */
const bootstrapRoom = () => import('../../../bootstrap/index.ts');

const stateOf = (state: string | undefined): string => resolve(state ?? defaultState);

interface WireStanding {
  policy: string;
  foreign_servers: { interface: string; kind: string; address: string; mac: string; last_seen: string }[];
}

/** Asked over the API; an undercloud that does not answer yet has its processes shown all the same. */
async function wireStanding(session: Session): Promise<WireStanding | null> {
  try {
    return await (await session.cloud()).get<WireStanding>('undercloud-boot', '/v1/wire', { repeatable: false });
  } catch {
    return null;
  }
}

export function applianceCommands(program: Command): void {
  program
    .command('bootstrap')
    .description('make this machine an undercloud; safe to run again, also after an interruption')
    .option('--listen <addr:port>', 'where the API listens', '127.0.0.1:6385')
    .option('--public-url <url>', 'what links and the catalog say (behind a proxy)')
    .option(
      '--provisioning-interface <if...>',
      'the network interface that the nodes boot from; several, each with a subnet of its own',
    )
    .option(
      '--provisioning-address <addr/prefix...>',
      'the undercloud’s address on it (default: the one it has); of several, in the same order',
    )
    .option('--lab', 'provision virtual bare metal in a network namespace of its own')
    .option('--database-url <url>', 'an external PostgreSQL instead of a private one')
    .option('--redis-url <url>', 'an external Redis instead of a private one')
    .option(
      '--image-store <url>',
      'where images are kept: disk (the default), or a bucket of an S3 store, s3://HOST[:PORT]/BUCKET[?region=NAME]; s3+http:// without TLS',
    )
    .option(
      '--image-store-credentials <file>',
      'a file with its access key and secret key, a line each or as the AWS tools keep them',
    )
    .option('--discover', 'unknown machines that boot from the network are discovered (--no-discover: not answered)')
    .option('--no-discover', 'the contrary, which is the default')
    .option('--bmc-network <cidr...>', 'networks in which `bmc scan` may look for BMCs')
    .option('--hold-on-foreign-dhcp', 'no machine is switched on for a deploy while a foreign DHCP server is there')
    .option('--no-hold-on-foreign-dhcp', 'the contrary, which is the default: they are reported')
    .option('--known-dhcp-server <address...>', 'DHCP servers that may answer on the provisioning network beside us')
    .option('--domain <domain>', 'answer DNS for the nodes’ names below this domain')
    .option('--nameserver <address...>', 'whom our DNS asks about everything else, or whom DHCP names without --domain')
    .option('--ntp <address...>', 'time servers that DHCP names')
    .option(
      '--dhcp <mode>',
      'who gets addresses: reservations-only (the default), server, or proxy beside another server',
    )
    .option('--dhcp-range <first-last...>', 'with --dhcp server: addresses for machines that have none of their own')
    .option('--region <name>', 'the region’s name in the catalog', 'RegionOne')
    .action(
      action(async (session, flags: BootstrapFlags) => {
        const { bootstrapSteps } = await (await bootstrapRoom()).loadSteps();
        const { provisioningInterface, provisioningAddress, ...others } = flags;
        const { steps, summary } = bootstrapSteps({
          ...others,
          ...linksOf(provisioningInterface, provisioningAddress),
          lab: flags.lab === true,
          stateDir: stateOf(session.state),
          wire: wireOf(flags),
        });
        await runSteps(steps, session.output);
        const made = summary();
        session.output.result(made, () => [
          '',
          `The undercloud answers at ${made.apiUrl}; its state is in ${made.stateDir}.`,
          `Clients find it by ${made.clouds}: OS_CLIENT_CONFIG_FILE=${made.clouds} openstack --os-cloud undercloud token issue`,
          `Next: ${['status', 'node import instackenv.json', 'image build NAME'].map((next) => `\`undercloud ${session.state ? `--state ${session.state} ` : ''}${next}\``).join(', ')}.`,
        ]);
      }),
    );

  program
    .command('doctor')
    .description('check this machine: each fault with its remedy')
    .option('--listen <addr:port>', 'where the API would listen (default: where it does, or 127.0.0.1:6385)')
    .option('--provisioning-interface <if>', 'check this interface for provisioning too')
    .option('--lab', 'check what virtual bare metal needs too')
    .action(
      action(async (session, flags: { listen?: string; provisioningInterface?: string; lab?: boolean }) => {
        const stateDir = stateOf(session.state);
        const { diagnoseState } = await (await bootstrapRoom()).loadDoctor();
        const found = await diagnoseState(stateDir, flags);
        session.output.result(found, () =>
          table(
            ['', 'check', 'finding', 'remedy'],
            found.map((one) => [one.ok ? '✔' : '✘', one.check, one.finding, one.remedy]),
          ),
        );
        return found.every((one) => one.ok) ? exitCodes.ok : exitCodes.failed;
      }),
    );

  program
    .command('status')
    .description('what runs, since how many restarts, and which foreign DHCP servers are on the wire')
    .action(
      action(async (session) => {
        const stateDir = stateOf(session.state);
        if (!existsSync(statePaths(stateDir).config)) throw fault('not-bootstrapped', { state: stateDir });
        const { standing } = await bootstrapRoom();
        const now = standing(stateDir);
        const config = readConfig(stateDir);
        const wire = now.running && config.provisioning ? await wireStanding(session) : null;
        session.output.result({ ...now, listen: config.listen, stateDir, wire }, () => [
          now.running
            ? `The undercloud on ${stateDir} runs; its API listens on ${config.listen}.`
            : now.orphans.length > 0
              ? `The supervisor of ${stateDir} was killed; ${now.orphans.map((one) => `${one.name} (process ${one.pid})`).join(', ')} ran on without it. \`undercloud start\` takes them in hand.`
              : `The undercloud on ${stateDir} is stopped; \`undercloud start\` starts it.`,
          ...(now.running
            ? table(
                ['service', 'pid', 'restarts', 'log'],
                now.children.map((child) => [child.name, child.pid, child.restarts, child.log]),
              )
            : []),
          ...(wire?.foreign_servers ?? []).map(
            (server) =>
              `Foreign ${server.kind} server on ${server.interface}: ${server.address} (${server.mac}), last seen ${server.last_seen}.${wire?.policy === 'hold' ? ' Deploys wait until it is gone.' : ''} Stop it, or put the nodes on a network of their own.`,
          ),
        ]);
        return now.running && now.children.every((child) => child.pid !== null) ? exitCodes.ok : exitCodes.failed;
      }),
    );

  program
    .command('start')
    .description('start a stopped undercloud')
    .action(
      action(async (session) => {
        const stateDir = stateOf(session.state);
        if (!existsSync(statePaths(stateDir).config)) throw fault('not-bootstrapped', { state: stateDir });
        requireRoot('start', 'opens sockets and starts processes of the service user');
        const { ensureStarted } = await bootstrapRoom();
        const started = await ensureStarted(stateDir);
        session.output.result({ started }, () => (started ? 'Started.' : 'It was running already.'));
      }),
    );

  program
    .command('stop')
    .description('stop the undercloud; work in flight goes on from its last finished step at the next start')
    .action(
      action(async (session) => {
        const stateDir = stateOf(session.state);
        if (!existsSync(statePaths(stateDir).config)) throw fault('not-bootstrapped', { state: stateDir });
        requireRoot('stop', 'ends processes of the service user');
        const { stopServices } = await bootstrapRoom();
        const stopped = await stopServices(stateDir);
        session.output.result({ stopped }, () => (stopped ? 'Stopped.' : 'It was not running.'));
      }),
    );

  program
    .command('serve')
    .description(
      'run the appliance in the foreground: as root with its private database and Redis, else its one process alone',
    )
    .action(
      action(async (session) => {
        const stateDir = stateOf(session.state);
        if (!existsSync(statePaths(stateDir).config)) throw fault('not-bootstrapped', { state: stateDir });
        if (process.getuid?.() === 0) {
          const { supervise } = await (await bootstrapRoom()).loadSupervisor();
          await supervise(stateDir, { isForeground: true });
          return exitCodes.ok;
        }
        const entry = join(import.meta.dirname, '../../serve/main.ts');
        const child = spawn(process.execPath, [entry, '--state', stateDir], { stdio: 'inherit' });
        for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
        return new Promise<number>((done) => child.once('exit', (code) => done(code ?? exitCodes.failed)));
      }),
    );

  program
    .command('clouds')
    .description('clouds.yaml for other machines')
    .command('export')
    .argument('[dir]', 'where clouds.yaml and the CA go', '.')
    .option('--auth-url <url>', 'the API’s address as the other machine sees it')
    .description('write clouds.yaml with the CA beside it')
    .action(
      action(async (session, dir: string, flags: { authUrl?: string }) => {
        const paths = statePaths(stateOf(session.state));
        if (!existsSync(paths.clouds)) throw fault('not-bootstrapped', { state: stateOf(session.state) });
        const clouds = parse(readFileSync(paths.clouds, 'utf8')) as {
          clouds: Record<string, { auth: { auth_url: string }; cacert: string }>;
        };
        for (const cloud of Object.values(clouds.clouds)) {
          cloud.cacert = 'undercloud-ca.pem';
          if (flags.authUrl) cloud.auth.auth_url = flags.authUrl;
        }
        mkdirSync(dir, { recursive: true });
        const file = join(dir, 'clouds.yaml');
        rmSync(file, { force: true });
        writeFileSync(file, stringify(clouds), { mode: 0o600 });
        copyFileSync(paths.caCertificate, join(dir, 'undercloud-ca.pem'));
        session.output.result(
          { clouds: file, ca: join(dir, 'undercloud-ca.pem') },
          () => `Wrote ${file} and ${join(dir, 'undercloud-ca.pem')}: copy both to the other machine.`,
        );
      }),
    );
}
