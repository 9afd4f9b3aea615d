export interface PowerEvents {
  /** One exchange with a BMC, retransmissions included. Subject: the node. Never holds a secret. */
  'bmc.command': {
    /** `host:port`. */
    bmc: string;
    /** `Get Chassis Status` and the like. */
    command: string;
    /** Datagrams sent for it; 1 is the healthy number. */
    attempts: number;
    ms: number;
    /** The sentence of what went wrong; null when it went well. */
    error: string | null;
  };
}
