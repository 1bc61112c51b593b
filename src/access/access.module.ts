import { Global, Module, type OnModuleInit } from '@nestjs/common';
import { Purge } from '../persistence/purge.js';
import { Providers } from '../providers/providers.js';
import { Access } from './access.js';
import { AdminTokens } from './admin-tokens.js';
import { CallerAddresses } from './caller-address.js';
import { FirstToken } from './first-token.js';
import { PersonalTokenList } from './personal-token-list.js';
import { PersonalTokens } from './personal-tokens.js';
import { Revocations } from './revocations.js';
import { ScopeCatalogue } from './scope-catalogue.js';
import { Usage } from './usage.js';
import { VerifiedTokens } from './verified-tokens.js';
import { Verifiers } from './verifiers.js';

const room = [
  Access,
  AdminTokens,
  CallerAddresses,
  FirstToken,
  PersonalTokenList,
  PersonalTokens,
  Revocations,
  ScopeCatalogue,
  Usage,
  VerifiedTokens,
  Verifiers,
];

/** Who is calling, and may they. */
@Global()
@Module({
  providers: room,
  exports: room,
})
export class AccessModule implements OnModuleInit {
  constructor(
    private readonly verifiers: Verifiers,
    private readonly providers: Providers,
    private readonly personalTokens: PersonalTokens,
    private readonly verified: VerifiedTokens,
    private readonly usage: Usage,
    private readonly revocations: Revocations,
    private readonly purge: Purge,
  ) {}

  onModuleInit(): void {
    this.purge.add({ name: 'revocation log', statement: () => this.revocations.purge() });
    this.verifiers.addOwn('gth_pat_', this.personalTokens);
    this.usage.addWriter((principal, at) => this.personalTokens.used(principal, at));
    for (const verifier of this.providers.verifiers) {
      this.verifiers.add(verifier);
      if ('onChange' in verifier && typeof verifier.onChange === 'function')
        verifier.onChange(() => this.verified.forgetVerifier(verifier.id));
    }
  }
}
