/** Software configurations and deployments between their stored and their shown form. */
import type { Desk } from '../desk.ts';
import type { Plain } from '../model.ts';
import type { ConfigRow, DeploymentRow } from '../store/software.ts';

export interface ConfigInput {
  readonly name: string;
  readonly type?: string;
  readonly description?: string;
  readonly default?: Plain;
  readonly value?: Plain;
  readonly replace_on_change?: boolean;
}
export interface ConfigOutput {
  readonly name: string;
  readonly type?: string;
  readonly description?: string;
  readonly error_output?: boolean;
}

export interface ConfigBody {
  readonly config: Plain;
  readonly inputs: readonly ConfigInput[];
  readonly outputs: readonly ConfigOutput[];
  readonly options: { readonly [key: string]: Plain };
}

export interface DeploymentBody {
  readonly input_values: { readonly [name: string]: Plain };
  readonly output_values: { readonly [name: string]: Plain } | null;
}

const configOwner = (id: string): string => `config ${id}`;
const deploymentOwner = (id: string): string => `deployment ${id}`;

export const sealConfig = (desk: Desk, id: string, body: ConfigBody): string =>
  desk.house.secrets.seal(JSON.stringify(body), configOwner(id));
export const openConfig = (desk: Desk, row: ConfigRow): ConfigBody =>
  JSON.parse(desk.house.secrets.open(row.body, configOwner(row.id))) as ConfigBody;
export const sealDeployment = (desk: Desk, id: string, body: DeploymentBody): string =>
  desk.house.secrets.seal(JSON.stringify(body), deploymentOwner(id));
export const openDeployment = (desk: Desk, row: DeploymentRow): DeploymentBody =>
  JSON.parse(desk.house.secrets.open(row.body, deploymentOwner(row.id))) as DeploymentBody;

export const heatTime = (at: Date): string => `${at.toISOString().slice(0, 19)}Z`;

/** What an agent reads of one deployment, and what the API shows of a configuration. */
export const configDocument = (desk: Desk, row: ConfigRow) => ({
  id: row.id,
  name: row.name,
  group: row.group_name,
  creation_time: heatTime(row.created_at),
  ...shownBody(openConfig(desk, row)),
});

/** A description that nobody gave is an empty one; what only the update of a stack looks at is told to nobody. */
const shownBody = ({ inputs, outputs, ...rest }: ConfigBody) => ({
  ...rest,
  inputs: inputs.map(({ replace_on_change: _own, ...one }) => ({ ...one, description: one.description ?? '' })),
  outputs: outputs.map((one) => ({ ...one, description: one.description ?? '' })),
});

const textOf = (value: Plain | undefined): string =>
  value === undefined || value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value);

/** The last lines of what a failed deployment wrote, short enough for a sentence. */
export function lastLines(value: Plain | undefined, lines = 5): string {
  const kept = textOf(value).trim().split('\n').slice(-lines).join('\n');
  return kept.length > 1000 ? `…${kept.slice(-1000)}` : kept;
}

/** How a signal ends a deployment: `error_output`s with a value and status codes other than 0 are failures. */
export function deploymentEnd(
  body: { readonly [name: string]: Plain },
  outputs: readonly ConfigOutput[],
): { status: 'COMPLETE' | 'FAILED'; reason: string; values: { [name: string]: Plain } } {
  const values: { [name: string]: Plain } = {};
  const failures: string[] = [];
  for (const { name, error_output } of outputs) {
    const value = body[name];
    if (value === undefined) continue;
    values[name] = value;
    if (error_output && textOf(value) !== '') failures.push(`${name}: ${lastLines(value)}`);
  }
  for (const name of ['deploy_stdout', 'deploy_stderr', 'deploy_status_code']) {
    const value = body[name];
    if (value !== undefined) values[name] = value;
  }
  const code = textOf(body.deploy_status_code);
  if (code !== '' && code !== '0')
    failures.push(`deploy_status_code: ${code}: ${lastLines(body.deploy_stderr) || lastLines(body.deploy_stdout)}`);
  return failures.length > 0
    ? { status: 'FAILED', reason: `deploy failed: ${failures.join('; ')}`, values }
    : { status: 'COMPLETE', reason: 'Outputs received', values };
}
