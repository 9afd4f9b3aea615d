/** clouds.yaml, by which every client of the field finds its cloud. */
import { stringify } from 'yaml';

export interface CloudAccess {
  authUrl: string;
  username: string;
  password: string;
  project: string;
  region: string;
  caCertificate: string;
}

export const cloudName = 'undercloud';

export function cloudsYaml(access: CloudAccess): string {
  return stringify({
    clouds: {
      [cloudName]: {
        // Said, because the stand-alone `baremetal` command takes `none` where nothing is said.
        auth_type: 'password',
        auth: {
          auth_url: access.authUrl,
          username: access.username,
          password: access.password,
          project_name: access.project,
          user_domain_name: 'Default',
          project_domain_name: 'Default',
        },
        region_name: access.region,
        cacert: access.caCertificate,
        interface: 'public',
        identity_api_version: 3,
      },
    },
  });
}
