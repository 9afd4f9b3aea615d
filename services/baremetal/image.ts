/** What baremetal needs of the image service: `image` passes by shape. */

/** A path on the root partition or on a numbered one, or a file to fetch. */
export type KexecFile =
  | string
  | { readonly path: string; readonly partition?: number }
  | { readonly url: string; readonly sha256: string };

/** What a deploy is told about its image. URLs are such that the agent can fetch them. */
export interface DeployInfo {
  /** As the signed manifest names it; without one the deploy's own word for it will do. */
  readonly id?: string;
  readonly name: string;
  /** Passed to the agent as it is. */
  readonly manifest?: { readonly text: string; readonly signature: string; readonly key_id: string };
  /** Bytes of the raw disk image. */
  readonly size: number;
  /** Present where the image is kept as verified chunks. */
  readonly index_url?: string;
  readonly index_sha256?: string;
  readonly objects?: Readonly<Record<string, string>>;
  /** Where agents that write this image learn of each other. */
  readonly neighbours_url?: string;
  /** The plain stream, for a stock agent. */
  readonly stream_url: string;
  readonly disk_format: string;
  readonly os_hash_algo: string;
  readonly os_hash_value: string;
  /** Where the image names them: the agent may start the written system by kexec. */
  readonly kexec?: { readonly kernel: KexecFile; readonly initrd?: KexecFile; readonly cmdline: string };
}

export interface DeployImages {
  /** @throws Fault when the image is not there */
  deployInfo(imageId: string, options: { ttl: number }): Promise<DeployInfo>;
}
