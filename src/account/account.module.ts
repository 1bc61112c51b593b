import { Global, Module } from '@nestjs/common';
import { STEP_UP_LINKS } from '../providers/step-up.js';
import { UsersModule } from '../users/users.module.js';
import { AccountDoor } from './account-door.js';
import { AccountFactsReader } from './account-facts.js';
import { AccountHoldings } from './account-holdings.js';
import { AccountSignInController } from './account-sign-in.controller.js';
import { AccountSignIns } from './account-sign-ins.js';
import { AccountController } from './account.controller.js';
import { IdentitiesController } from './identities.controller.js';
import { SignOutController } from './sign-out.controller.js';
import { AccountStepUpLinks } from './step-up-links.js';
import { UpstreamSignOut } from './upstream-sign-out.js';
import { WidenController } from './widen.controller.js';

/** The signed-in person's page; only where people can sign in. Global for the step-up links that `mcp` gives out. */
@Global()
@Module({
  imports: [UsersModule],
  controllers: [AccountSignInController, AccountController, IdentitiesController, SignOutController, WidenController],
  providers: [
    AccountDoor,
    AccountFactsReader,
    AccountHoldings,
    AccountSignIns,
    AccountStepUpLinks,
    UpstreamSignOut,
    { provide: STEP_UP_LINKS, useExisting: AccountStepUpLinks },
  ],
  exports: [STEP_UP_LINKS],
})
export class AccountModule {}
