import { Injectable } from '@nestjs/common';

/** A scope as a module declares it. */
export interface ScopeDeclaration {
  /** An RFC 6749 §3.3 scope token, for example `repo:read`. */
  readonly name: string;
  /** For the consent page, in plain words: `Read your repositories`. */
  readonly words: string;
  /** Scopes that come with it. */
  readonly implies?: readonly string[] | undefined;
}

/** Every scope there is, made at boot: consent, metadata and tools read it. */
@Injectable()
export class ScopeCatalogue {
  readonly #declared = new Map<string, ScopeDeclaration>();
  readonly #closure = new Map<string, ReadonlySet<string>>();

  /** @throws Error when another declaration of that name says something else */
  declare(scope: ScopeDeclaration): void {
    const known = this.#declared.get(scope.name);
    if (known && known.words !== scope.name && scope.words !== scope.name && known.words !== scope.words)
      throw new Error(
        `scope ${scope.name} is declared twice, with different words: "${known.words}" and "${scope.words}"`,
      );
    if (!known || known.words === scope.name) this.#declared.set(scope.name, scope);
    this.#closure.clear();
  }

  /** Names of all declared scopes, in the order of declaration. */
  get names(): readonly string[] {
    return [...this.#declared.keys()];
  }

  /** What the consent page says of it; the name itself when nobody declared words. */
  words(name: string): string {
    return this.#declared.get(name)?.words ?? name;
  }

  /** Those of `needed` that `granted`, with all it implies, does not cover (spec RS-15). */
  missing(granted: readonly string[], needed: readonly string[]): string[] {
    return needed.filter((name) => !granted.some((scope) => this.#covered(scope).has(name)));
  }

  /** The scope itself and everything it implies, transitively. */
  #covered(scope: string): ReadonlySet<string> {
    let covered = this.#closure.get(scope);
    if (!covered) {
      const all = new Set([scope]);
      for (const name of all) for (const implied of this.#declared.get(name)?.implies ?? []) all.add(implied);
      covered = all;
      this.#closure.set(scope, covered);
    }
    return covered;
  }
}
