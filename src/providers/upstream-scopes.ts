import { Injectable } from '@nestjs/common';

interface Declaration {
  readonly provider: string;
  readonly scopes: readonly string[];
  readonly gate: readonly string[];
}

/** Scopes of upstreams that tools declared beyond those of the providers' settings, each with the scopes of ours that open the tool. */
@Injectable()
export class UpstreamScopes {
  readonly #declarations: Declaration[] = [];

  /** @param gate scopes of ours without which the tool cannot be called; empty: every caller may  */
  declare(provider: string, scopes: readonly string[], gate: readonly string[]): void {
    this.#declarations.push({ provider, scopes, gate });
  }

  /** What those tools declared that `opens` lets through, each once, in the order of declaration. */
  of(provider: string, opens: (gate: readonly string[]) => boolean): string[] {
    const open = this.#declarations.filter((one) => one.provider === provider && opens(one.gate));
    return [...new Set(open.flatMap(({ scopes }) => scopes))];
  }
}
