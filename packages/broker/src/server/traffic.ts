/** What passed through a server, and what it holds now. All sessions of a server count into one. */
export class Traffic {
  bytesIn = 0;
  bytesOut = 0;
  /** By API key. */
  readonly requestCounts: number[] = [];
  /** Connections refused or closed by a limit. */
  refusedCount = 0;
  /** Bytes of requests that are held: not whole, waiting, or not answered. */
  heldRequestBytes = 0;
  /** Bytes of responses that are held: not sent, or not taken by the peer. */
  heldResponseBytes = 0;
}
