import { Inject, Injectable } from '@nestjs/common';
import { Settings } from '../config/settings.js';
import { type Finding, findingOf, type Rule } from '../protocol/rules.js';
import type { Identity } from '../providers/contract.js';

/** What the rules in force say of somebody whom a provider has just named. */
@Injectable()
export class RuleBook {
  constructor(@Inject(Settings) private readonly settings: Settings) {}

  /** `GATEHOUSE_ALLOW` holds `*`: there is nothing that a person could have lost. */
  get isOpenToAll(): boolean {
    return this.settings.allow.some(({ kind }) => kind === 'anyone');
  }

  /** Does any rule of `GATEHOUSE_ALLOW` admit this person? */
  admission(identity: Identity): Finding {
    return this.#find(this.settings.allow, identity);
  }

  /** Does any rule of `GATEHOUSE_ADMINS` make this person an administrator? */
  administration(identity: Identity): Finding {
    return this.#find(this.settings.values.admins, identity);
  }

  #find(rules: readonly Rule[], identity: Identity): Finding {
    // The configuration knows the kind; what an Identity said of itself would be the provider's word for it.
    const kind = this.settings.providers.find(({ id }) => id === identity.provider)?.kind.kind ?? '';
    return findingOf(rules, { ...identity, kind });
  }
}
