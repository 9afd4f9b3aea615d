/**
 * One unit for one undercloud: the supervisor opens the sockets and keeps PostgreSQL, Redis and `serve` below it, so that
 * the processes and their order are the same with and without systemd.
 */
export function unitText({ launcher, stateDir }: { launcher: string; stateDir: string }): string {
  return `[Unit]
Description=Undercloud bare-metal provisioning appliance (${stateDir})
After=network-online.target
Wants=network-online.target

[Service]
Type=exec
ExecStart=${launcher} supervise --state ${stateDir}
# The supervisor stops its children itself, serve before its database.
KillMode=mixed
TimeoutStopSec=70
Restart=on-failure
RestartSec=2

[Install]
WantedBy=multi-user.target
`;
}
