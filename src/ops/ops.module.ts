import { Global, Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { Metrics } from './metrics.js';
import { OpsController } from './ops.controller.js';
import { Requests } from './requests.js';
import { TlsFiles } from './tls-files.js';

/** Health, metrics, the request log and an orderly end. */
@Global()
@Module({
  imports: [TerminusModule.forRoot({ logger: false })],
  controllers: [OpsController],
  providers: [Metrics, Requests, TlsFiles],
  exports: [Metrics, Requests],
})
export class OpsModule {}
