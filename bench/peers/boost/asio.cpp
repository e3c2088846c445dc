/* SPDX-License-Identifier: MIT */
/*
 * asio - the echo server as callbacks of Boost.Asio, in one thread.
 */
#include <boost/asio.hpp>
#include <cstdio>
#include <memory>

using boost::asio::ip::tcp;

struct conn : std::enable_shared_from_this<conn> {
	tcp::socket socket;
	char buf[4096];

	explicit conn(tcp::socket accepted) : socket(std::move(accepted))
	{
	}

	void receive()
	{
		socket.async_read_some(boost::asio::buffer(buf),
			[self = shared_from_this()](
				boost::system::error_code error, size_t n) {
				if (!error)
					self->reply(n);
			});
	}

	void reply(size_t n)
	{
		boost::asio::async_write(socket, boost::asio::buffer(buf, n),
			[self = shared_from_this()](
				boost::system::error_code error, size_t) {
				if (!error)
					self->receive();
			});
	}
};

static void accept_next(tcp::acceptor &acceptor)
{
	acceptor.async_accept(
		[&acceptor](boost::system::error_code error, tcp::socket socket) {
			if (!error) {
				socket.set_option(tcp::no_delay(true));
				std::make_shared<conn>(std::move(socket))->receive();
			}
			accept_next(acceptor);
		});
}

int main()
{
	boost::asio::io_context context(1);
	tcp::acceptor acceptor(context, {boost::asio::ip::make_address("127.0.0.1"), 0});

	acceptor.listen(4096);
	printf("listening 127.0.0.1:%u\n", acceptor.local_endpoint().port());
	fflush(stdout);
	accept_next(acceptor);
	context.run();
}
