/** Something a client can talk to without a socket. An embedded `Broker` is one. */
export interface InProcessEndpoint {
  /** Opens a channel that carries whole Kafka frames, as TCP would, less the length prefix. */
  dial(): InProcessChannel;
}

/** Frames are owned by the receiver. Listeners are set once, in the turn of `dial`; frames arrive in a later one. */
export interface InProcessChannel {
  send(frame: Uint8Array): void;
  onFrame(listener: (frame: Uint8Array) => void): void;
  onClose(listener: (reason?: Error) => void): void;
  close(): void;
}
