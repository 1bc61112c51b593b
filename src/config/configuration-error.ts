/** The configuration cannot be used. `faults`: one sentence per faulty variable or option, without any secret. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  /** Exit code of the process: EX_CONFIG of sysexits. */
  readonly exitCode = 78;

  constructor(readonly faults: readonly string[]) {
    super(
      `Gatehouse cannot start: ${faults.length === 1 ? 'one setting is wrong' : `${faults.length} settings are wrong`}.\n` +
        faults.map((fault) => `  ${fault}`).join('\n'),
    );
  }
}
