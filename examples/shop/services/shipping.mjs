// ES modules. Ships what was ordered: hears of orders from RabbitMQ, and notes in MySQL that they are on their way.
import amqp from 'amqplib';
import mysql from 'mysql2/promise';

const queue = process.env.SHIPPING_QUEUE;

const database = mysql.createPool(process.env.MYSQL_URL);
const connection = await amqp.connect(process.env.AMQP_URL);
const channel = await connection.createChannel();

// The broker removes the queue when nobody consumes it any more.
await channel.assertQueue(queue, { autoDelete: true });
await channel.consume(queue, async (message) => {
  const { order } = JSON.parse(message.content.toString());
  await database.query('UPDATE orders SET state = ? WHERE id = ?', ['shipped', order]);
  channel.ack(message);
});
console.log(`shipping listens on ${queue}`);
