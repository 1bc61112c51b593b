import { Inject, Injectable } from '@nestjs/common';
import { Revocations } from '../access/revocations.js';
import { Database } from '../persistence/database.js';
import { Purge } from '../persistence/purge.js';
import { AccountSignIns } from './account-sign-ins.js';
import { StepUpLinkRow } from './step-up-link.entity.js';
import { AccountStepUpLinks } from './step-up-links.js';

/** What the account page keeps of a person, and when it goes. */
@Injectable()
export class AccountHoldings {
  constructor(
    @Inject(Database) database: Database,
    @Inject(Revocations) revocations: Revocations,
    @Inject(Purge) purge: Purge,
    @Inject(AccountSignIns) signIns: AccountSignIns,
    @Inject(AccountStepUpLinks) links: AccountStepUpLinks,
  ) {
    const end = (userId: string) => [signIns.endAll(userId), database.remove(StepUpLinkRow, { userId })];
    revocations.hold({ cutOff: end, erase: end });
    purge.add({ name: 'account sign-ins', statement: (batch) => signIns.purge(batch) });
    purge.add({ name: 'step-up links', statement: (batch) => links.purge(batch) });
  }
}
