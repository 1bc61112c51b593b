import { Injectable } from '@nestjs/common';

/** Scopes of upstreams that tools declared beyond those of the providers' settings; login asks for them, the sign-in page names them. */
@Injectable()
export class UpstreamScopes {
  readonly #scopes = new Map<string, Set<string>>();

  /** @param provider instance id */
  declare(provider: string, scopes: readonly string[]): void {
    const all = this.#scopes.get(provider) ?? new Set();
    for (const scope of scopes) all.add(scope);
    this.#scopes.set(provider, all);
  }

  /** In the order of declaration; empty: none. */
  of(provider: string): readonly string[] {
    return [...(this.#scopes.get(provider) ?? [])];
  }
}
