import type { LoginProvider, ProviderHouse } from '../providers/contract.js';
import type { FakeServer } from './fake-server.js';
import { testHouse, type TestHouse } from './house.js';

/** A login provider beside the fake it signs in at. The fake answers its authorize page with a redirect at once. */
export interface LoginFixture {
  readonly fake: FakeServer;
  /** For example `POST /token` and `GET /userinfo`. */
  readonly routes: { readonly token: string; readonly profile: string };
  create(
    house: ProviderHouse,
    options?: { id?: string; wrongSecret?: boolean },
  ): LoginProvider | Promise<LoginProvider>;
  /** Whom the fake signs in; e-mail verified. */
  readonly person: { readonly subject: string; readonly email: string };
  /** Profiles as the fake would answer them, but without a stable subject. */
  readonly unusableProfiles: readonly object[];
  /** The person's e-mail address is not verified from now on. */
  unverifyEmail(): void;
  /** Every token of the fake is dead from now on. */
  forgetTokens(): void;
  /** The fake's next tokens expire and can be refreshed; absent: this provider has no refresh. */
  readonly allowRefresh?: () => void;
  /** The refresh answer brings no new refresh token from now on. */
  readonly keepRefreshToken?: () => void;
}

/** One thing every login provider must do; `run` throws when it does not. Independent of any test runner. */
export interface ContractCase {
  readonly name: string;
  readonly run: () => Promise<void>;
}

/** What a case plays with; made anew for each. */
export interface Scene {
  readonly fixture: LoginFixture;
  readonly fake: FakeServer;
  readonly house: TestHouse;
  readonly provider: LoginProvider;
}

/** Makes a case of a scene. */
export type Scenes = (name: string, play: (scene: Scene) => Promise<void>) => ContractCase;

/** Opens a scene for each case, and closes it behind it. */
export function scenesAt(open: () => Promise<LoginFixture>): Scenes {
  return (name, play) => ({
    name,
    run: async () => {
      const fixture = await open();
      const house = testHouse();
      try {
        await play({ fixture, fake: fixture.fake, house, provider: await fixture.create(house, { id: 'under-test' }) });
      } finally {
        await fixture.fake.close();
        await house.close();
      }
    },
  });
}
