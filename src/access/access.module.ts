import { Global, Module, type OnModuleInit } from '@nestjs/common';
import { Providers } from '../providers/providers.js';
import { Access } from './access.js';
import { PersonalTokens } from './personal-tokens.js';
import { Revocations } from './revocations.js';
import { ScopeCatalogue } from './scope-catalogue.js';
import { VerifiedTokens } from './verified-tokens.js';
import { Verifiers } from './verifiers.js';

/** Who is calling, and may they. */
@Global()
@Module({
  providers: [Access, PersonalTokens, Revocations, ScopeCatalogue, VerifiedTokens, Verifiers],
  exports: [Access, PersonalTokens, Revocations, ScopeCatalogue, VerifiedTokens, Verifiers],
})
export class AccessModule implements OnModuleInit {
  constructor(
    private readonly verifiers: Verifiers,
    private readonly providers: Providers,
    private readonly personalTokens: PersonalTokens,
    private readonly verified: VerifiedTokens,
  ) {}

  onModuleInit(): void {
    this.verifiers.addOwn('gth_pat_', this.personalTokens);
    for (const verifier of this.providers.verifiers) {
      this.verifiers.add(verifier);
      if ('onChange' in verifier && typeof verifier.onChange === 'function')
        verifier.onChange(() => this.verified.forgetVerifier(verifier.id));
    }
  }
}
