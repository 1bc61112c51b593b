import { Module } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { FrontController } from './front.controller.js';
import { UnknownFilter } from './unknown.filter.js';

/** The front door itself and what lies beside every path. Of the server alone: inside somebody's application these addresses are theirs. */
@Module({
  controllers: [FrontController],
  providers: [{ provide: APP_FILTER, useClass: UnknownFilter }],
})
export class FrontModule {}
