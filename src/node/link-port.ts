import type { QuorumLink, QuorumLinkHandler } from '../seams/transport.ts';
import type { QuorumMessage } from '../zab/messages.ts';

/** Who owns quorum links: what comes over one goes to it together with the link. */
export interface LinkOwner {
  linkMessages(link: QuorumLink, batch: readonly QuorumMessage[]): void;
  linkDrained(link: QuorumLink): void;
  linkClosed(link: QuorumLink, reason: string): void;
}

/** One quorum link as the transport sees its owner. `link` is set right after the link is made, before anything can come over it. */
export class LinkPort implements QuorumLinkHandler {
  link!: QuorumLink;

  constructor(readonly owner: LinkOwner) {}

  messages(batch: readonly QuorumMessage[]): void {
    this.owner.linkMessages(this.link, batch);
  }

  drained(): void {
    this.owner.linkDrained(this.link);
  }

  closed(reason: string): void {
    this.owner.linkClosed(this.link, reason);
  }
}
