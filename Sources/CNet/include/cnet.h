#ifndef CNET_H
#define CNET_H
#endif
