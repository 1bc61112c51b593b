import { Injectable, Logger } from '@nestjs/common';
import { InMemoryServerEventBus, type ServerEvent } from '@modelcontextprotocol/server';

/** Tells clients that listen what has changed; inject it into tools. */
@Injectable()
export class Changes {
  /** What the SDK's `subscriptions/listen` streams and our MCP sessions hear. */
  readonly bus = new InMemoryServerEventBus((error) => new Logger('Mcp').warn(`a listener failed: ${error.message}`));

  toolsChanged(): void {
    this.#publish({ kind: 'tools_list_changed' });
  }

  promptsChanged(): void {
    this.#publish({ kind: 'prompts_list_changed' });
  }

  resourcesChanged(): void {
    this.#publish({ kind: 'resources_list_changed' });
  }

  /** `uri` as declared. */
  resourceUpdated(uri: string): void {
    this.#publish({ kind: 'resource_updated', uri });
  }

  #publish(event: ServerEvent): void {
    this.bus.publish(event);
  }
}
