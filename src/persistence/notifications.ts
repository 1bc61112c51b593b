import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import pg from 'pg';
import { Settings } from '../config/settings.js';

const RECONNECT_MS = 1000;

/** Messages between nodes by Postgres NOTIFY; on SQLite nothing is ever heard. They can be lost: whoever listens also polls. */
@Injectable()
export class Notifications implements OnApplicationShutdown {
  readonly #log = new Logger('Notifications');
  readonly #listeners = new Map<string, Set<(payload: string) => void>>();
  #client: pg.Client | null = null;
  #connecting: Promise<void> | null = null;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(private readonly settings: Settings) {}

  /** Calls `listener` with each payload sent to this channel (a plain identifier). Resolves when listening, or when the first try failed. */
  async listen(channel: string, listener: (payload: string) => void): Promise<void> {
    const listeners = this.#listeners.get(channel) ?? new Set();
    listeners.add(listener);
    this.#listeners.set(channel, listeners);
    if (this.settings.values.databaseUrl.startsWith('sqlite:')) return;
    if (this.#client) await this.#client.query(`LISTEN ${channel}`);
    else await (this.#connecting ??= this.#connect());
  }

  async onApplicationShutdown(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    await this.#client?.end();
  }

  async #connect(): Promise<void> {
    const client = new pg.Client({
      connectionString: this.settings.values.databaseUrl,
      application_name: 'gatehouse-notifications',
      keepAlive: true,
    });
    client.on('notification', ({ channel, payload }) => {
      for (const listener of this.#listeners.get(channel) ?? []) listener(payload ?? '');
    });
    const lost = (error?: Error): void => {
      if (this.#closed || (this.#client !== client && this.#client !== null)) return;
      this.#client = null;
      this.#connecting = null;
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => (this.#connecting ??= this.#connect()), RECONNECT_MS).unref();
      if (error) this.#log.warn(`not listening to other nodes for now: ${error.message}`);
    };
    client.on('error', lost);
    client.on('end', () => lost());
    try {
      await client.connect();
      for (const channel of this.#listeners.keys()) await client.query(`LISTEN ${channel}`);
      this.#client = client;
    } catch (error) {
      lost(error as Error);
    }
  }
}
