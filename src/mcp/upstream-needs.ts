import { Inject, Injectable, Logger, type Type } from '@nestjs/common';
import { closest, distance } from 'fastest-levenshtein';
import { Providers } from '../providers/providers.js';
import { UpstreamScopes } from '../providers/upstream-scopes.js';
import { type HandlerDeclaration, injectedUpstreams } from './decorators.js';

/** Which upstreams handlers want tokens of, and whether they can be had here: providers come by the environment, tools do not. */
@Injectable()
export class UpstreamNeeds {
  readonly #log = new Logger('UpstreamNeeds');

  constructor(
    @Inject(Providers) private readonly providers: Providers,
    @Inject(UpstreamScopes) private readonly scopes: UpstreamScopes,
  ) {}

  /** Declares the scopes a handler needs, and warns of each upstream it names that nobody can sign in with here. */
  declare(type: Type, method: string, { kind, options }: HandlerDeclaration): void {
    const wanted = Object.entries(options.upstream ?? {});
    for (const [provider, scopes] of wanted) this.scopes.declare(provider, scopes, options.scopes ?? []);
    const named = new Set([...wanted.map(([provider]) => provider), ...injectedUpstreams(type, method)]);
    for (const provider of named)
      if (!this.providers.login(provider))
        this.#log.warn(
          `the ${kind} ${options.name ?? method} (${type.name}.${method}) wants tokens of "${provider}", and no login provider is on under this id${this.#suggestion(provider)}; its calls say so`,
        );
  }

  #suggestion(provider: string): string {
    const ids = this.providers.logins.map(({ id }) => id);
    if (ids.length === 0) return ': there is none at all';
    const nearest = closest(provider, ids);
    const isNear = distance(provider.toLowerCase(), nearest) <= Math.max(2, nearest.length / 3);
    return isNear ? `; did you mean "${nearest}"?` : ` (there are ${ids.join(', ')})`;
  }
}
