/**
 * One unit for one undercloud: the supervisor opens the sockets and keeps PostgreSQL, Redis and `serve` below it, so that
 * the processes and their order are the same with and without systemd.
 */
export function unitText({ launcher, stateDir }: { launcher: string; stateDir: string }): string {
  return `[Unit]
Description=Undercloud bare-metal provisioning appliance (${plain(stateDir)})
After=network-online.target
Wants=network-online.target

[Service]
Type=exec
ExecStart=${word(launcher)} --state ${word(stateDir)}
# The supervisor stops its children itself, serve before its database.
KillMode=mixed
TimeoutStopSec=70
Restart=on-failure
RestartSec=2

[Install]
WantedBy=multi-user.target
`;
}

/** systemd splits at blanks, takes backslashes and quotes apart, and reads % as a specifier, $ as a variable (systemd.service(5)). */
const word = (text: string): string =>
  `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%').replaceAll('$', '$$$$')}"`;
const plain = (text: string): string => text.replaceAll('%', '%%').replaceAll(/[\\\n]/g, ' ');
