import { Injectable } from '@nestjs/common';
import type { Principal } from '../providers/contract.js';
import { Catalogue } from './catalogue.js';
import type { Gate } from './decorators.js';
import type { Message } from './json-rpc.js';

/** Scopes that a Principal lacks, and the names of what needs them. */
export interface Lacking {
  readonly scopes: readonly string[];
  readonly names: readonly string[];
}

/** What stands against a request. */
export interface Judgement {
  /** null: no scope is missing. */
  readonly lacking: Lacking | null;
  /** Names of what a missing role hides: for this Principal it does not exist. */
  readonly hidden: readonly string[];
}

/** What a Principal may do with what is declared. One policy filters the lists and gates the calls (S3). */
@Injectable()
export class Policy {
  constructor(private readonly catalogue: Catalogue) {}

  /** Looks at everything that the messages ask for, once. What a missing role hides counts as unknown, so it asks for no scope. */
  judge(principal: Principal, messages: readonly Message[]): Judgement {
    const scopes = new Set<string>();
    const names: string[] = [];
    const hidden: string[] = [];
    for (const { name, gate } of messages.flatMap((message) => this.#touched(message))) {
      const verdict = this.catalogue.verdict(principal, gate);
      if (verdict === 'hidden') hidden.push(name);
      if (verdict !== 'scopes missing') continue;
      for (const scope of gate.scopes ?? []) scopes.add(scope);
      names.push(name);
    }
    return { lacking: names.length > 0 ? { scopes: [...scopes], names } : null, hidden };
  }

  /** Is there a resource that a missing role hides from this Principal? */
  isHidden(principal: Principal, uri: string): boolean {
    const target = this.catalogue.readTarget(canonical(uri));
    return target !== null && this.catalogue.verdict(principal, target.entry) === 'hidden';
  }

  #touched({ method, params }: Message): { name: string; gate: Gate }[] {
    switch (method) {
      case 'tools/call':
        return named(this.catalogue.tools, params['name']);
      case 'prompts/get':
        return named(this.catalogue.prompts, params['name']);
      case 'resources/read':
      case 'resources/subscribe':
        return this.#readable(params['uri']);
      case 'subscriptions/listen':
        return listenedUris(params).flatMap((uri) => this.#readable(uri));
      default:
        return [];
    }
  }

  #readable(uri: unknown): { name: string; gate: Gate }[] {
    const target = typeof uri === 'string' ? this.catalogue.readTarget(canonical(uri)) : null;
    return target ? [{ name: target.entry.name, gate: target.entry }] : [];
  }
}

/** The form under which resources are kept; the text itself when it is no URI. */
export function canonical(uri: string): string {
  return URL.canParse(uri) ? new URL(uri).toString() : uri;
}

/** Resource URIs that a `subscriptions/listen` request asks for. */
export function listenedUris(params: Readonly<Record<string, unknown>>): string[] {
  const notifications = params['notifications'];
  if (typeof notifications !== 'object' || notifications === null) return [];
  const uris = (notifications as Record<string, unknown>)['resourceSubscriptions'];
  return Array.isArray(uris) ? uris.filter((uri): uri is string => typeof uri === 'string') : [];
}

function named(entries: ReadonlyMap<string, Gate>, name: unknown): { name: string; gate: Gate }[] {
  const gate = typeof name === 'string' ? entries.get(name) : undefined;
  return gate ? [{ name: String(name), gate }] : [];
}
