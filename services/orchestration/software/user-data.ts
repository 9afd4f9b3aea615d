/** User data for a server that is configured by software deployments: MIME parts that cloud-init and our agent both read. */
import { randomBytes } from 'node:crypto';
import type { Plain } from '../model.ts';

/** cloud-init has no handler for cfn-init's parts; this one puts them where heat's own tools look for them. */
const partHandler = `#part-handler
import os

def list_types():
    return ["text/x-cfninitdata"]

def handle_part(data, ctype, filename, payload):
    if ctype in ("__begin__", "__end__"):
        return
    os.makedirs("/var/lib/heat-cfntools", mode=0o700, exist_ok=True)
    path = os.path.join("/var/lib/heat-cfntools", os.path.basename(filename))
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(payload.decode() if isinstance(payload, bytes) else payload)
`;

interface Part {
  readonly type: string;
  readonly name: string;
  readonly body: string;
}

function multipart(parts: readonly Part[]): string {
  const boundary = `===============${randomBytes(12).toString('hex')}==`;
  const lines = [`Content-Type: multipart/mixed; boundary="${boundary}"`, 'MIME-Version: 1.0', ''];
  for (const { type, name, body } of parts) {
    lines.push(
      `--${boundary}`,
      `Content-Type: ${type}; charset="utf-8"`,
      'MIME-Version: 1.0',
      'Content-Transfer-Encoding: 8bit',
      `Content-Disposition: attachment; filename="${name}"`,
      '',
      body,
    );
  }
  lines.push(`--${boundary}--`, '');
  return lines.join('\n');
}

const typeOf = (text: string): string =>
  text.startsWith('#cloud-config') ? 'text/cloud-config' : text.startsWith('#!') ? 'text/x-shellscript' : 'text/plain';

/** @param own the template's user_data, if any; @param document goes to cfn-init-data. */
export function softwareUserData(own: string, document: Plain): string {
  return multipart([
    { type: 'text/part-handler', name: 'part-handler.py', body: partHandler },
    ...(own === '' ? [] : [{ type: typeOf(own), name: 'user-data', body: own }]),
    { type: 'text/x-cfninitdata', name: 'cfn-init-data', body: JSON.stringify(document) },
  ]);
}

/** HEAT_CFNTOOLS: the script as cfn-userdata beside cfn-init-data, with a part that runs it. */
export function toolsUserData(own: string, document: Plain): string {
  return multipart([
    { type: 'text/part-handler', name: 'part-handler.py', body: partHandler },
    { type: 'text/x-cfninitdata', name: 'cfn-userdata', body: own },
    {
      type: 'text/x-shellscript',
      name: 'loguserdata.sh',
      body: '#!/bin/sh\nf=/var/lib/heat-cfntools/cfn-userdata\n[ -s "$f" ] || exit 0\nchmod 700 "$f"\nexec "$f"\n',
    },
    { type: 'text/x-cfninitdata', name: 'cfn-init-data', body: JSON.stringify(document) },
  ]);
}
