/** The same HTTP stack as the host's with nothing behind it: what a request costs at least. */
import 'reflect-metadata';
import { Body, Controller, HttpCode, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';

class EchoController {
  echo(body) {
    return body;
  }
}
// Node has no decorators yet; they are called as what they are.
const descriptor = Object.getOwnPropertyDescriptor(EchoController.prototype, 'echo');
Body()(EchoController.prototype, 'echo', 0);
Post()(EchoController.prototype, 'echo', descriptor);
HttpCode(200)(EchoController.prototype, 'echo', descriptor);
Controller('echo')(EchoController);

class EchoModule {}
Module({ controllers: [EchoController] })(EchoModule);

const starting = NestFactory.create(EchoModule, new FastifyAdapter(), { logger: false }).then(
  async (app) => {
    await app.listen(0, '127.0.0.1');
    return await app.getUrl();
  },
);
process.on('disconnect', () => process.exit(0));
process.on('message', ({ id }) => {
  starting.then(
    (result) => process.send({ id, result }),
    (error) => process.send({ id, error: error.message }),
  );
});
